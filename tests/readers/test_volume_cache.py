"""Slices of one volume decode it once."""

import os
import threading
from dataclasses import replace

import numpy as np
import pytest

from pipeline.geometry import SourceGrid
from pipeline.phantom import radiograph, thorax
from pipeline.phantom.dicom import film_bytes
from pipeline.readers import decoded_once, read_picture
from pipeline.readers.cache import VolumeCache, last_picture
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


@pytest.fixture
def films(tmp_path):
    for name in "ab":
        film = radiograph(thorax(1), seed=ord(name), size=32)
        (tmp_path / f"{name}.dcm").write_bytes(film_bytes(film, subject="P", number=ord(name), origin="cache"))
    return [str(tmp_path / f"{name}.dcm") for name in "ab"]


@pytest.fixture
def decodings(monkeypatch):
    """The DICOM files that are decoded, in order."""
    import pipeline.readers.dicom as module

    decoded, true = [], module.read_dicom
    monkeypatch.setattr(module, "read_dicom", lambda file, **how: (decoded.append(file), true(file, **how))[1])
    return decoded


def test_a_picture_that_is_read_twice_in_a_row_is_decoded_once_where_that_is_asked_for(films, decodings):
    a, b = films
    with decoded_once():
        arrays = [read_picture(path).array for path in (a, a, b, b, a)]
    assert decodings == [a, b, a]
    np.testing.assert_array_equal(arrays[0], arrays[1])
    assert not np.array_equal(arrays[0], arrays[2])
    decodings.clear()
    assert last_picture() is None
    for _ in range(2):
        read_picture(a)
    assert decodings == [a, a]


def test_whoever_writes_into_a_picture_changes_no_other_reading_of_it(films):
    with decoded_once():
        first = read_picture(films[0]).array
        first[:] = 0
        assert read_picture(films[0]).array.any()


def test_masks_and_windowed_readings_are_decoded_anew(films, decodings):
    with decoded_once():
        read_picture(films[0])
        read_picture(films[0], voi=True)
        read_picture(films[0], labels=True)
    assert len(decodings) == 3


def test_a_whole_volume_whose_slices_were_read_is_not_decoded_again(tmp_path, monkeypatch):
    import nibabel as nib

    import pipeline.readers.nifti as module

    path = str(tmp_path / "v.nii.gz")
    nib.save(nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)), path)
    decoded, true = [], module.read_nifti
    monkeypatch.setattr(module, "read_nifti", lambda file: (decoded.append(file), true(file))[1])
    with decoded_once():
        part, whole = read_picture(f"{path}#slice=2").array, read_picture(path).array
    np.testing.assert_array_equal(whole[:, :, 2], part)
    assert len(decoded) == 1
