from pathlib import Path

import pytest

from pipeline.readers import SourceLayout, stem_of


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("a/film.PNG", "film"),
        ("ct.nii.gz", "ct"),
        ("ct.nii.gz#slice=3", "ct"),
        ("CT.1.2.840.113", "CT.1.2.840.113"),
        ("figure.webp-day5.png", "figure.webp-day5"),
        ("RG1_J2KI", "RG1_J2KI"),
    ],
)
def test_the_stem_of_a_picture_keeps_all_but_its_suffix(path: str, stem: str) -> None:
    assert stem_of(path) == stem


def test_no_two_sources_share_a_result(tmp_path: Path) -> None:
    layout = SourceLayout(tmp_path / "out", str(tmp_path / "in"))
    sources = ["a.png", "a.jpg", "deep/a.png", "CT.1.2.3", "CT.1.2.4", "v.nii.gz#slice=0", "v.nii.gz#slice=1"]
    names = [layout.filename(tmp_path / "in" / source) for source in sources]
    assert [Path(name).relative_to(tmp_path / "out").as_posix() for name in names] == [
        "a_mask.png",
        "a.jpg_mask.png",
        "deep/a_mask.png",
        "CT.1.2.3_mask.png",
        "CT.1.2.4_mask.png",
        "v_0_mask.png",
        "v_1_mask.png",
    ]


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path: Path) -> None:
    layout = SourceLayout(tmp_path / "out")
    names = [layout.filename(source) for source in ("A.png", "a.jpg")]
    assert len({name.casefold() for name in names}) == 2


def test_a_source_written_again_keeps_its_name(tmp_path: Path) -> None:
    layout = SourceLayout(tmp_path)
    assert layout.filename("a.png") == layout.filename("a.png")
