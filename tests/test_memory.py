"""How much of a set stays decoded in memory."""

import pytest
import torch

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


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_full_gpu_is_told_by_torch_the_driver_and_its_libraries(error: Exception) -> None:
    assert memory.is_gpu_full(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: device-side assert triggered"), ValueError("CUDA error: out of memory")]
)
def test_other_errors_say_nothing_of_a_gpus_memory(error: Exception) -> None:
    assert not memory.is_gpu_full(error)
