"""What the machine can do, measured, and what a network must cost at least on it.

python -m benchmarks.speed.floor SETTINGS: prints one JSON object, {"machine": …, "networks": {name: …}}.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["floor_seconds", "machine_rates", "network_costs"]

MEASURED_S = 0.5
REPEATS = 5


def machine_rates() -> dict[str, float]:
    """Matrix products and memory of the device that torch would take.

    Returns: "fp32" and "bf16": floating-point operations a second; "bytes": read and written a second. On a GPU "fp32"
        is TF32's rate: convolutions take it unless they are told not to.
    """
    import torch

    gpu = torch.cuda.is_available()
    torch.backends.cuda.matmul.allow_tf32 = True
    device = torch.device("cuda" if gpu else "cpu")
    side = 8192 if gpu else 2048
    rates = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        first, second = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        rates[name] = 2 * side**3 / _seconds(lambda first=first, second=second: first @ second)
    source = torch.empty(2**28 if gpu else 2**25, device=device).normal_()
    target = torch.empty_like(source)
    rates["bytes"] = 2 * source.nbytes / _seconds(lambda: target.copy_(source))
    return rates


def _seconds(work: Callable[[], Any]) -> float:
    """The shortest mean of several rounds: what the machine can do, and not what else it does."""
    import torch

    def done() -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    work()
    done()
    best = float("inf")
    for _ in range(REPEATS):
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < MEASURED_S / REPEATS:
            for _ in range(5 if torch.cuda.is_available() else 1):
                work()
                count += 1
            done()
        best = min(best, (time.perf_counter() - began) / count)
    return best


def network_costs(definition: Mapping[str, Any], size: int) -> dict[str, float]:
    """Operations and memory traffic of a network for one picture.

    Args:
        definition: As in a MONAI config.
        size: Side of the picture, pixels.
    Returns: "forward_flop", "training_flop": by torch's counter; "elements": numbers that the layers read and write in
        a forward pass, if each reads its input once and writes its output once; "parameters".
    """
    import torch
    from monai.bundle import ConfigParser
    from torch.utils.flop_counter import FlopCounterMode

    parser = ConfigParser({"network_def": dict(definition)})
    network = parser.get_parsed_content("network_def").train()
    image = torch.randn(1, int(definition["in_channels"]), size, size)
    elements = 0

    def count(layer: torch.nn.Module, inputs: Any, output: Any) -> None:
        nonlocal elements
        elements += sum(one.numel() for one in inputs if isinstance(one, torch.Tensor)) + output.numel()

    hooks = [one.register_forward_hook(count) for one in network.modules() if not list(one.children())]
    with FlopCounterMode(display=False) as counter:
        out = network(image)
    for hook in hooks:
        hook.remove()
    forward = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        out.sum().backward()
    return {
        "forward_flop": float(forward),
        "training_flop": float(forward + counter.get_total_flops()),
        "elements": float(elements),
        "parameters": float(sum(one.numel() for one in network.parameters())),
    }


def floor_seconds(costs: Mapping[str, float], rates: Mapping[str, float], precision: str, training: bool) -> float:
    """The least time for one picture: the longer of computing at the matrix rate and moving at the bandwidth.

    A backward pass reads and writes twice what the forward pass does.
    """
    bytes_each = 2 if precision == "bf16" else 4
    computing = costs["training_flop" if training else "forward_flop"] / rates[precision]
    moving = costs["elements"] * bytes_each * (3 if training else 1) / rates["bytes"]
    return max(computing, moving)


def main() -> None:
    """Measure, and count the networks of the settings: {"name": [definition, size]}."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    networks = {name: network_costs(definition, size) for name, (definition, size) in given.items()}
    print(json.dumps({"machine": machine_rates(), "networks": networks}))


if __name__ == "__main__":
    main()
