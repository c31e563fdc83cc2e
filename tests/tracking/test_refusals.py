"""A server that wants another user: one line with what to do, before anything begins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pipeline.errors import TrackingUnreachable
from pipeline.tracking import RunStore
from pipeline.tracking.store import open_store

ANSWERS = {
    401: ("You are not authenticated. Please see https://mlflow.org/docs", "It needs a user and a password"),
    403: ("Permission denied", "The user has no right to do this there"),
}


@pytest.fixture(params=ANSWERS)
def refusing(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The address of a server that answers every request alike, and what is to be said of it."""
    status = request.param
    body, words = ANSWERS[status]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", words
        server.shutdown()


def test_it_is_told_when_a_run_is_to_begin(refusing: tuple[str, str]) -> None:
    address, words = refusing
    with pytest.raises(TrackingUnreachable) as caught:
        open_store(address, "lungs")
    line = str(caught.value)
    assert line.startswith(f"MLflow at {address} cannot be used: {words}")
    assert "Start the server" not in line and "\n" not in line


def test_it_is_told_when_runs_are_read(refusing: tuple[str, str]) -> None:
    address, words = refusing
    with pytest.raises(TrackingUnreachable) as caught:
        RunStore(address)
    line = str(caught.value)
    assert line.startswith(f"MLflow at {address} cannot be read: {words}")
    assert "Start the server" not in line and "\n" not in line
