"""What the system says of the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import processor
from pipeline.processor import is_slow_in_bfloat16, processor_flags, processor_name

Said = Callable[[str], None]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Said]:
    """Let the system say something else of its processor."""
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "CPUINFO", path)

    def say(text: str) -> None:
        processor._first.cache_clear()
        path.write_text(text, encoding="utf-8")

    processor._first.cache_clear()
    yield say
    processor._first.cache_clear()


def of(vendor: str, flags: str) -> str:
    first = f"processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: A processor: 9\nflags\t\t: fpu {flags}\n"
    return f"{first}\nprocessor\t: 1\nmodel name\t: another\nflags\t\t: amx_bf16\n"


@pytest.mark.parametrize(
    ("vendor", "flags", "slow"),
    [
        ("GenuineIntel", "avx512_bf16 amx_bf16", False),
        ("GenuineIntel", "avx512_bf16", True),
        ("AuthenticAMD", "avx512_bf16", False),
    ],
)
def test_intel_is_slow_in_bfloat16_without_amx(vendor: str, flags: str, slow: bool, said: Said) -> None:
    said(of(vendor, flags))
    assert is_slow_in_bfloat16() is slow


def test_the_first_processor_is_described(said: Said) -> None:
    said(of("GenuineIntel", "avx2"))
    assert processor_name() == "A processor: 9"
    assert processor_flags() == {"fpu", "avx2"}


def test_a_system_that_says_nothing_is_not_called_slow(said: Said) -> None:
    assert processor_name() != ""
    assert processor_flags() == frozenset()
    assert not is_slow_in_bfloat16()
