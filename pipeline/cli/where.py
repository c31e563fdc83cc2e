"""Where a user finds what was written."""

from __future__ import annotations

from shlex import quote

__all__ = ["mlflow_hint"]


def mlflow_hint() -> str:
    """How to look at the runs."""
    from pipeline.tracking import tracking_uri, without_password

    uri = without_password(tracking_uri())
    if uri.startswith("http"):
        return f"open {uri}"
    return f"to look: mlflow server --backend-store-uri {quote(uri)} --port 5000, then open http://127.0.0.1:5000"
