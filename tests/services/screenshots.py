"""The pictures of MLflow's pages in `docs/images`, of a short training: make screenshots DATA=datalist.json

Trains the shipped bundle for some epochs, registers the weights, evaluates, segments some films, and takes a picture of
each page that an auditor opens first. Look at them: what is empty or cannot be read there is missing in the record.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # as pytest does for tests

from chromium import Chromium
from mlflow import MlflowClient
from mlflow_server import MlflowServer
from planar_shell import Shell, run_of

MODEL = "cxr_lungs"
EPOCHS = 8
CLOSE_ASSISTANT = (
    "for (const name of Object.keys(localStorage))"
    " if (name.includes('assistant.panelOpen')) localStorage.setItem(name, 'false')"
)


def take(uri: str, run_id: str, evaluation: str, out: Path) -> None:
    """Take the pictures of a training and its evaluation."""
    client = MlflowClient(uri)
    run = client.get_run(run_id)
    experiment = f"{uri}/#/experiments/{run.info.experiment_id}"
    page = f"{experiment}/runs/{run_id}"
    pictures = [one.path for one in client.list_artifacts(run_id, "pictures") if "validation" in one.path]
    best = next(
        model
        for model in client.search_logged_models([run.info.experiment_id])
        if model.source_run_id == run_id and model.name == "best"
    )
    with Chromium(1280, 900) as browser:
        # Pages for trained models, and no assistant over them: what the browser of who has been here before remembers.
        browser.open(uri, "Experiments", "Model training")
        browser.click("Model training")
        time.sleep(2)
        browser.evaluate(CLOSE_ASSISTANT)
        browser.open(f"{experiment}/runs", run.info.run_name)
        browser.picture(out / "runs.png")
        browser.open(page, "Registered models", "val_mean_dice")
        browser.picture(out / "run_overview.png")
        data = run.inputs.dataset_inputs[0].dataset
        browser.click(f"{data.name} ({data.digest})")
        browser.wait("merkle root", data.digest)
        browser.picture(out / "run_datasets.png")
        browser.open(f"{page}/model-metrics", "val_mean_dice")
        browser.picture(out / "run_metrics.png")
        browser.open(f"{page}/artifacts/{pictures[-1]}", pictures[-1].rpartition("/")[2])
        browser.picture(out / "run_artifacts.png")
        browser.open(f"{experiment}/models/{best.model_id}", "val_mean_dice")
        browser.picture(out / "model.png")
        browser.open(f"{uri}/#/models/{MODEL}/versions/1", "champion")
        browser.picture(out / "model_version.png")
        browser.open(f"{experiment}/runs/{evaluation}", "Datasets")
        browser.picture(out / "evaluation_overview.png")


def main() -> None:
    """Train, record and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="datalist.json of `planar index`")
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/images"), help="folder of the pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="planar-screenshots-") as name:
        folder = Path(name)
        server = MlflowServer(folder)
        # Whoever makes the pictures and where is nobody's business; that a run has a user is what they are to show.
        shell = Shell(folder, server.uri, {"LOGNAME": "radiographer", "OMP_NUM_THREADS": str(os.cpu_count() or 1)})
        data = options.data.absolute()
        try:
            server.start()
            training = shell.planar(
                *("train", "cxr_lung_segmentation", "--data", data, "-o", "lungs", "--register", MODEL, "--champion"),
                *(f"max_epochs={EPOCHS}", "val_interval=1"),
            )
            evaluation = shell.planar("evaluate", "lungs", "--data", data, "-o", "scores")
            take(server.uri, run_of(training.stdout), run_of(evaluation.stdout), options.out)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
