"""Slices of one volume decode it once."""

import os
import threading
from dataclasses import replace

import numpy as np
import pytest

from pipeline.geometry import SourceGrid
from pipeline.readers.cache import VolumeCache
from pipeline.readers.picture import Picture


def volume(path, megabytes=1):
    array = np.zeros((1024, 1024, megabytes), np.uint8)
    return Picture(str(path), array, SourceGrid.of_picture(array.shape), "MetaImage")


@pytest.fixture
def files(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(name)
    return [str(tmp_path / name) for name in "abc"]


def counted(path, decoded, megabytes=1):
    def decode():
        decoded.append(path)
        return volume(path, megabytes)

    return decode


def test_a_volume_is_decoded_once(files):
    cache, decoded = VolumeCache(), []
    for _ in range(3):
        cache.get(files[0], (False,), counted(files[0], decoded))
    assert len(decoded) == 1


def test_other_options_and_a_changed_file_are_decoded_again(files):
    cache, decoded = VolumeCache(), []
    cache.get(files[0], (False,), counted(files[0], decoded))
    cache.get(files[0], (True,), counted(files[0], decoded))
    os.utime(files[0], ns=(1, 1))
    cache.get(files[0], (False,), counted(files[0], decoded))
    assert len(decoded) == 3


def test_the_volume_that_was_used_longest_ago_goes_first(files):
    cache, decoded = VolumeCache(max_bytes=2 * 2**20), []
    a, b, c = files
    for path in (a, b, a, c, a, b):
        cache.get(path, (), counted(path, decoded))
    assert decoded == [a, b, c, b]


def test_one_volume_is_kept_however_large(files):
    cache, decoded = VolumeCache(max_bytes=1), []
    for _ in range(2):
        cache.get(files[0], (), counted(files[0], decoded))
    assert len(decoded) == 1


def test_threads_that_want_one_volume_decode_it_once(files):
    cache, decoded, begin = VolumeCache(), [], threading.Barrier(8)
    got = []

    def ask():
        begin.wait()
        got.append(cache.get(files[0], (), counted(files[0], decoded)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decoded) == 1
    assert all(picture is got[0] for picture in got)


def test_a_failed_decoding_is_not_remembered(files):
    cache, decoded = VolumeCache(), []

    def fail():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        cache.get(files[0], (), fail)
    picture = cache.get(files[0], (), counted(files[0], decoded))
    assert replace(picture, path="x").path == "x"
