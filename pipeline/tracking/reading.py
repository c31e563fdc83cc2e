"""Reading runs back from an MLflow store."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InvalidOption, TrackingUnreachable
from pipeline.tracking.facts import DatasetUse, ModelUse, Point, RunFacts
from pipeline.tracking.headline import SELECTING
from pipeline.tracking.manifest import TAG
from pipeline.tracking.run_files import RunFiles
from pipeline.tracking.stale import close_stale
from pipeline.tracking.store import (
    impatient,
    is_refusal_of_user,
    reason_of,
    require_there,
    store_uri,
    tracking_uri,
    without_password,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["RunStore"]

A_PAGE = 1000
# How busy the machine was says nothing of the result, and is most of what a long training has recorded.
UNREAD = "system/"


class RunStore:
    """The runs of an MLflow store.

    Runs that ended processes have left open are ended when it is opened, as by every command that opens a store.

    Args:
        uri: Tracking URI; see `tracking_uri`.
    Raises: TrackingUnreachable: if it is not there or does not answer.
    """

    def __init__(self, uri: str | None = None) -> None:
        self.uri = store_uri(uri) if uri else tracking_uri()
        require_there(self.uri)
        # Artifacts are fetched one by one: a bar for each would be all that there is to see.
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        from mlflow import MlflowClient

        try:
            with impatient():
                self.client: MlflowClient = MlflowClient(tracking_uri=self.uri)
                self._experiments = {
                    str(one.experiment_id): str(one.name) for one in _pages(self.client.search_experiments)
                }
        except Exception as error:
            where = " Start the server, or say where the runs are with --store or MLFLOW_TRACKING_URI."
            raise TrackingUnreachable(
                f"MLflow at {self.name} cannot be read: {reason_of(error)}{'' if is_refusal_of_user(error) else where}"
            ) from error
        close_stale(self.uri, self.client)

    @property
    def name(self) -> str:
        """Where it is, without a password."""
        return without_password(self.uri)

    def runs(self, experiment: str | None = None, tags: Mapping[str, str] | None = None, limit: int = 0) -> list[Run]:
        """Runs, the latest first.

        Args:
            experiment: Of this experiment alone.
            tags: With these values alone.
            limit: As many at most; 0 for all.
        Raises: InvalidOption: if there is no such experiment.
        """
        wanted = [key for key, name in self._experiments.items() if experiment in (None, name)]
        if experiment is not None and not wanted:
            names = ", ".join(sorted(self._experiments.values()))
            raise InvalidOption(f"{self.name}: has no experiment '{experiment}'. It has: {names}.")
        return self._search(
            wanted, [f"tags.`{name}` = '{_quoted(value)}'" for name, value in (tags or {}).items()], limit
        )

    def overview(
        self, experiment: str | None = None, tags: Mapping[str, str] | None = None, limit: int = 0
    ) -> list[RunFacts]:
        """Runs as `runs`, read as far as a table of them needs: without models, artifacts and former values.

        Only the metric that the best checkpoint is chosen by has all its values.
        """
        return [self._without_artifacts(run) for run in self.runs(experiment, tags, limit)]

    def find(self, text: str) -> str:
        """The id of a run.

        Args:
            text: Its id, the beginning of one that no other has, or the run's name.
        Raises: InvalidOption: if there is none, or several, with what they are.
        """
        everywhere = list(self._experiments)
        found: list[Run] = []
        if re.fullmatch(r"[0-9a-f]{4,32}", text):
            found = self._search(everywhere, [f"attributes.run_id LIKE '{text}%'"], 20)
        if not found:
            found = self._search(everywhere, [f"attributes.run_name = '{_quoted(text)}'"], 20)
        if len(found) == 1:
            return str(found[0].info.run_id)
        if not found:
            raise InvalidOption(
                f"{self.name}: has no run '{text}'; expected an id, the beginning of one (four digits or more), or a "
                "name. planar runs lists them; another store is named with --store or MLFLOW_TRACKING_URI."
            )
        told = ", ".join(
            f"{run.info.run_id[:8]} ({run.info.run_name}, {run.data.tags.get('planar.kind', '?')})"
            for run in found[:10]
        )
        raise InvalidOption(f"'{text}' may be any of {len(found)} runs: {told}. Give more of the id.")

    def read(self, run_id: str, folder: Path) -> RunFacts:
        """All that the store has of a run, the files of the models that it has made among its artifacts.

        Args:
            run_id: The run.
            folder: Where artifacts are put when they are asked for; each is fetched once.
        Raises: InvalidOption: if there is no such run.
        """
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            raise InvalidOption(f"{self.name}: has no run {run_id} ({reason_of(error)}). See: planar runs") from error

        models = tuple(sorted(self._models(run), key=lambda use: (use.name, use.model_id)))
        files = RunFiles(self.client, self.uri, run_id, models, folder)
        shown = {name: float(value) for name, value in run.data.metrics.items() if not name.startswith(UNREAD)}
        return replace(
            self._without_artifacts(run),
            metrics={name: self.points(run_id, name) for name in shown},
            shown=shown,
            models=models,
            files=files.paths,
            fetch=files.fetch,
        )

    def require_artifacts(self, run_id: str) -> None:
        """See that the files of a run that has recorded some can be there.

        MLflow keeps absolute paths: beside a database that was moved with its folder they are looked for where they
        were, and all would seem to be gone.

        Raises: TrackingUnreachable: if they are to lie in a folder that is not there.
        """
        from mlflow.utils.file_utils import local_file_uri_to_path
        from mlflow.utils.uri import is_local_uri

        run = self.client.get_run(run_id)
        if TAG not in run.data.tags or not is_local_uri(run.info.artifact_uri):
            return
        folder = Path(local_file_uri_to_path(run.info.artifact_uri))
        if not folder.exists():
            raise TrackingUnreachable(
                f"{self.name}: the files of the run {run_id[:8]} are to lie in {folder}, which is not there. MLflow "
                "keeps absolute paths: put the folder back, or a link in its place."
            )

    def points(self, run_id: str, metric: str) -> tuple[Point, ...]:
        """All values of a metric by step; one that was recorded twice at a step by its time, as MLflow orders them."""
        history = self.client.get_metric_history(run_id, metric)
        found = {Point(int(one.step), float(one.value), int(one.timestamp)) for one in history}
        return tuple(sorted(found, key=lambda point: (point.step, point.time_ms, point.value)))

    def _without_artifacts(self, run: Run) -> RunFacts:
        ended = None if run.info.end_time is None else int(run.info.end_time)
        latest = {name: value for name, value in run.data.metrics.items() if not name.startswith(UNREAD)}
        return RunFacts(
            run_id=str(run.info.run_id),
            name=str(run.info.run_name),
            experiment=self._experiments.get(str(run.info.experiment_id), ""),
            status=str(run.info.status),
            started_ms=int(run.info.start_time),
            ended_ms=ended,
            tags=dict(run.data.tags),
            params=dict(run.data.params),
            metrics={
                name: self.points(run.info.run_id, name) if name == SELECTING else (Point(0, float(value), ended or 0),)
                for name, value in latest.items()
            },
            datasets=_datasets(run),
        )

    def _search(self, experiments: Sequence[str], conditions: Sequence[str], limit: int) -> list[Run]:
        found: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                list(experiments),
                " and ".join(conditions),
                max_results=min(limit - len(found), A_PAGE) if limit else A_PAGE,
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
            found += page
            token = page.token
            if not token or (limit and len(found) >= limit):
                return found

    def _models(self, run: Run) -> Iterator[ModelUse]:
        from mlflow.exceptions import MlflowException

        made = {one.model_id: int(one.step) for one in (run.outputs.model_outputs if run.outputs else ())}
        applied = {one.model_id: 0 for one in (run.inputs.model_inputs if run.inputs else ())}
        for model_id, step in {**applied, **made}.items():
            try:
                model = self.client.get_logged_model(model_id)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":  # deleted since: its files are missed in the manifest
                    continue
                raise
            yield ModelUse(
                model_id=str(model_id),
                name=str(model.name),
                made=model_id in made,
                step=step,
                status=str(getattr(model.status, "value", model.status)),
                tags={str(name): str(value) for name, value in (model.tags or {}).items()},
                params={str(name): str(value) for name, value in (model.params or {}).items()},
                metrics={str(one.key): float(one.value) for one in (model.metrics or ())},
                runs={str(one.key): str(one.run_id) for one in (model.metrics or ()) if one.run_id},
            )


def _pages(search: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _datasets(run: Run) -> tuple[DatasetUse, ...]:
    uses = []
    for one in run.inputs.dataset_inputs if run.inputs else ():
        tags = {tag.key: tag.value for tag in one.tags}
        profile: Any = None
        with suppress(ValueError, TypeError):
            profile = json.loads(one.dataset.profile)
        uses.append(
            DatasetUse(
                name=str(one.dataset.name),
                context=str(tags.get("mlflow.data.context", "")),
                digest=str(one.dataset.digest),
                profile=profile if isinstance(profile, dict) else {},
            )
        )
    return tuple(sorted(uses, key=lambda use: (use.context, use.name)))


def _quoted(text: str) -> str:
    """A value as it may stand in single quotes; MLflow's filters know no escape for them."""
    return text.replace("'", "_")
