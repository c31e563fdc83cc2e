"""Whether the memory holds what a small file expands to."""

from __future__ import annotations

from pipeline.errors import UnsupportedImage
from pipeline.memory import half_of_memory_gb

__all__ = ["require_room"]

# Below it nobody asks for the machine's memory, which takes longer than reading a header.
SMALL_BYTES = 2**28


def require_room(path: str, expanded_bytes: float) -> None:
    """Look whether a file can be decoded; reading it takes up to twice as much as its pixels.

    Args:
        path: For the message.
        expanded_bytes: What it is when it is expanded.
    Raises: UnsupportedImage: if not.
    """
    if expanded_bytes <= SMALL_BYTES:
        return
    room_gb = half_of_memory_gb()
    expanded_gb = expanded_bytes / 1e9
    if expanded_gb > room_gb:
        raise UnsupportedImage(
            f"{path}: it expands to {expanded_gb:.3g} GB or more, and this machine has room for {room_gb:.3g} GB."
        )
