"""The bundle's network exported to ONNX, run by ONNX Runtime or OpenVINO in the loop that one writes around it.

python -m … SETTINGS. Files are read, resized, scaled by percentiles, and the scores resized back before the arg-max, as
the bundle does.
"""

from pathlib import Path

from benchmarks.speed.workers.turns import Channel, FileTurns, settings


def main():
    """Predict all files in each turn."""
    channel, given = Channel(), settings()

    import numpy as np
    from PIL import Image

    run = _openvino(given) if given["runtime"] == "openvino" else _onnxruntime(given)
    out = Path(given["out"])
    out.mkdir(parents=True, exist_ok=True)
    side = given["size"]
    turns = FileTurns(channel)
    for _ in turns.passes():
        for name in given["images"]:
            with Image.open(name) as opened:
                picture = opened.convert("F")
            small = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))
            low, high = np.percentile(small, (0.5, 99.5))
            small = np.clip((small - low) / max(high - low, 1e-6), 0, 1)
            small = ((small - small.mean()) / max(small.std(), 1e-6)).astype(np.float32)
            scores = run(small[None, None])[0]
            difference = Image.fromarray(scores[1] - scores[0]).resize(picture.size, Image.Resampling.BILINEAR)
            mask = (np.asarray(difference) > 0).astype(np.uint8)
            Image.fromarray(mask).save(out / f"{Path(name).stem}.png")
            turns.file()


def _onnxruntime(given):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = given["cores"]
    wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    session = onnxruntime.InferenceSession(given["model"], options, providers=providers)
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image})[0]


def _openvino(given):
    import openvino

    compiled = openvino.Core().compile_model(given["model"], "CPU", {"INFERENCE_PRECISION_HINT": given["precision"]})
    return lambda image: compiled(image)[0]


if __name__ == "__main__":
    main()
