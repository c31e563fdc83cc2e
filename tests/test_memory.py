"""How much of a set stays decoded in memory."""

import pytest

from pipeline import memory


@pytest.fixture(autouse=True)
def _twenty_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "half_of_memory_gb", lambda: 10.0)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)


@pytest.mark.parametrize(("decoded_gb", "share"), [(0.0, 1.0), (4.0, 1.0), (8.0, 0.5), (9.0, 0.44), (1e6, 0.01)])
def test_what_has_room_stays(decoded_gb: float, share: float) -> None:
    assert memory.share_in_memory(decoded_gb) == share


def test_processes_of_one_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory.share_in_memory(4.0) == 0.25
