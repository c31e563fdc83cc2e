"""How long a training step of a plan takes here, as nnU-Net computes it and in bfloat16. Runs in its environment."""

import argparse
import contextlib
import json
import time
from pathlib import Path

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

STEPS = 3  # the first is slow and does not count


def main():
    """Measure on random pictures of the plan's patch size, and write the shortest step of each precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plans", type=Path)
    parser.add_argument("dataset", type=Path, help="dataset.json")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()

    dataset = json.loads(given.dataset.read_text(encoding="utf-8"))
    plan = PlansManager(str(given.plans)).get_configuration("2d")
    network = get_network_from_plans(
        plan.network_arch_class_name,
        plan.network_arch_init_kwargs,
        plan.network_arch_init_kwargs_req_import,
        len(dataset["channel_names"]),
        len(dataset["labels"]),
        allow_init=True,
        deep_supervision=True,
    ).to(given.device)
    optimizer = torch.optim.SGD(network.parameters(), 1e-4, momentum=0.99, nesterov=True)
    data = torch.randn(given.batch, len(dataset["channel_names"]), *plan.patch_size, device=given.device)
    # nnU-Net's trainer autocasts on CUDA alone; elsewhere it computes in float32.
    own = (lambda: torch.autocast("cuda")) if given.device == "cuda" else contextlib.nullcontext
    seconds = {"own": _step(network, optimizer, data, own)}
    if given.device == "cpu":
        seconds["bfloat16"] = _step(network, optimizer, data, lambda: torch.autocast("cpu", dtype=torch.bfloat16))
    report = {"seconds": seconds, "batch": given.batch, "patch_size": [int(side) for side in plan.patch_size]}
    given.out.write_text(json.dumps(report) + "\n", encoding="utf-8")


def _step(network, optimizer, data, precision):
    times = []
    for _ in range(STEPS):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with precision():
            outputs = network(data)
        loss = sum(torch.nn.functional.cross_entropy(o.float(), torch.zeros_like(o[:, 0]).long()) for o in outputs)
        loss.backward()
        optimizer.step()
        if data.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times[1:])


if __name__ == "__main__":
    main()
