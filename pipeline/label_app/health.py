"""Whether the server works: for people, for monitors, and for clients that would wait otherwise."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from monailabel.interfaces.utils.app import app_instance

from pipeline import __version__

__all__ = ["health_routes"]


def health_routes() -> APIRouter:
    """GET /health: 200, or 503 with the reason if the place of the images does not answer."""
    router = APIRouter(tags=["App"])
    began = time.time()

    @router.get("/health")
    def health() -> JSONResponse:
        images = app_instance().datastore()
        reason = getattr(images, "why_not", lambda: "")()
        told: dict[str, Any] = {
            "status": "unavailable" if reason else "ok",
            "planar": __version__,
            "seconds": int(time.time() - began),
        }
        if reason:
            told["reason"] = reason
        return JSONResponse(told, 503 if reason else 200)

    return router
