"""`planar inspect` as it is typed."""

import json

import pytest
from click.testing import CliRunner

from pipeline.cli.inspect import command
from pipeline.errors import OutputExists


def planar_inspect(*arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result


def test_the_summary_says_what_is_there_and_what_comes_next(phantom_datalist):
    result = planar_inspect(phantom_datalist, "--workers", 1)
    assert result.return_value == 0
    assert "phantom: " in result.stdout
    assert "cases measured (training and validation)" in result.stdout
    assert "–96 px, pixel size unknown" in result.stdout
    assert "  lung  " in result.stdout
    assert f"Next: planar plan {phantom_datalist} --task" in result.stdout


def test_json_goes_to_the_screen_alone_and_to_the_file(phantom_datalist, tmp_path):
    result = planar_inspect(phantom_datalist, "--json", "-o", tmp_path / "f.json", "--workers", 1)
    assert json.loads(result.stdout)["format"] == "planar-fingerprint/1"
    assert (tmp_path / "f.json").read_text() == result.stdout


def test_the_page_is_written_and_nothing_is_replaced_unasked(phantom_datalist, tmp_path):
    page = tmp_path / "page.html"
    planar_inspect(phantom_datalist, "--html", page, "--workers", 1)
    assert "<h1>phantom: what is in the set</h1>" in page.read_text()
    with pytest.raises(OutputExists, match=r"page\.html exists"):
        planar_inspect(phantom_datalist, "--html", page, "-o", tmp_path / "f.json")
    assert not (tmp_path / "f.json").exists()


def test_a_file_that_cannot_be_read_ends_with_status_1(tmp_path):
    import numpy as np
    from PIL import Image

    for k in range(3):
        Image.fromarray(np.eye(30, dtype=np.uint8) * 9).save(tmp_path / f"{k}.png")
    items = [{"image": f"{k}.png", "label": f"{k}.png", "label_coding": "threshold:1"} for k in range(3)]
    document = {"name": "lines", "labels": {"0": "background", "1": "line"}, "training": items}
    (tmp_path / "d.json").write_text(json.dumps(document))
    (tmp_path / "1.png").write_bytes(b"cut short")
    result = planar_inspect(tmp_path / "d.json")
    assert result.return_value == 1
    assert "Left out: 1.png: " in result.stderr
    assert "lines: 2 cases measured" in result.stdout
