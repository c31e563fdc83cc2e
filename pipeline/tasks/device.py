"""Whether there is the device that a config or an override names."""

from __future__ import annotations

from typing import Any

from pipeline.errors import InvalidOption

__all__ = ["require_device"]


def require_device(device: Any) -> None:
    """Raise InvalidOption if PyTorch does not know a device, or finds none of that name on this machine.

    Args:
        device: A name such as "cuda:1", or an object of torch's; expressions of a config are left to MONAI.
    """
    if isinstance(device, str) and device.startswith(("@", "$")):
        return
    import torch

    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError):
        raise InvalidOption(f"device={device} is no device that PyTorch knows. Give cpu, cuda or cuda:1.") from None
    if found.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (found.index or 0) >= count:
            there = f"cuda:0 to cuda:{count - 1}" if count > 1 else "one GPU, cuda:0" if count else "no GPU"
            raise InvalidOption(f"device={device}: PyTorch finds {there} here. Give another device, such as cpu.")
        return
    try:
        torch.empty(0, device=found)
    except Exception:  # each kind of device has its own
        raise InvalidOption(f"device={device}: PyTorch finds none here. Give another device, such as cpu.") from None
