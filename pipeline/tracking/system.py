"""How busy the machine is while it trains: MLflow's own measurements, told through the record."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from pipeline.tracking.record import Record

__all__ = ["SystemMonitor"]


class SystemMonitor(SystemMetricsMonitor):
    """MLflow's monitor of CPU, memory, disk, network and GPU, which does not ask the server at each sample.

    `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` and `MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING` are heeded.

    Args:
        record: Of the run.
        interval_s: Between two samples, s.
    """

    _process: threading.Thread | None

    def __init__(self, record: Record, interval_s: float = 10.0) -> None:
        super().__init__(record.run_id, sampling_interval=interval_s, tracking_uri=record.uri)
        self.record = record

    def monitor(self) -> None:
        """Measure until `finish`; one that is shorter than an interval is measured once all the same."""
        try:
            ended = False
            while not ended:
                for _ in range(self.samples_before_logging):
                    self.collect_metrics()
                    ended = self._shutdown_event.wait(self.sampling_interval)
                    if ended:
                        break
                self.publish_metrics(self.aggregate_metrics())
        except Exception as error:  # a measurement that fails is no reason to end a training
            logging.getLogger(__name__).warning("The machine is not measured any more: %s", error)

    def publish_metrics(self, metrics: dict[str, Any]) -> None:
        """Hand a sample to the record."""
        values = {f"system/{name}": float(value) for name, value in metrics.items()}
        self.record.metrics(values, self._logging_step, time_ms=int(time.time() * 1000))
        self._logging_step += 1
        for monitor in self.monitors:
            monitor.clear_metrics()

    def finish(self) -> None:
        """Measure no more."""
        if self._process is not None:
            self._shutdown_event.set()
            self._process.join(timeout=5)
            self._process = None
