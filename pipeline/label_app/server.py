"""The server: MONAI Label's own endpoints, with what a server among people needs around them.

MONAI Label computes inside its event loop, so that one request that waits keeps all others waiting, answers errors of
the user's making with "500 Internal Server Error", lets everybody in and takes files of any size. Its endpoints are
registered here a second time, each in a thread of its own; what is not registered is MONAI Label's as it is.

uvicorn loads `pipeline.label_app.server:app`; `planar label start` sets what is read from the environment.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.routing import APIRoute
from monailabel.config import settings
from monailabel.endpoints import (
    activelearning,
    batch_infer,
    datastore,
    infer,
    info,
    logs,
    model,
    scoring,
    session,
    train,
)
from monailabel.interfaces.exception import MONAILabelException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from pipeline.errors import MissingFile, OutputExists, PlanarError, user_error_within
from pipeline.label_app import look, ohif, proxy, segmentations, task_status
from pipeline.label_app.access import read_users
from pipeline.label_app.doorway import Doorway, login_routes
from pipeline.label_app.health import health_routes
from pipeline.label_app.settings import MEGABYTES, ORIGIN, USERS

__all__ = ["app", "build"]

# Before its application is made: left empty, pages of every site might use it. As an environment variable it would keep
# MONAI Label from starting.
settings.MONAI_LABEL_CORS_ORIGINS = [os.environ.get(ORIGIN, "")]

import monailabel.app  # noqa: E402

logger = logging.getLogger(__name__)

IN_THREADS = (info, model, batch_infer, train, activelearning, scoring, datastore, logs, session)
BY_KIND = ((MissingFile, 404), (OutputExists, 409), (ConnectionError, 503), (PlanarError, 422))


def build() -> FastAPI:
    """The application, by the environment."""
    outer = FastAPI(title="Planar", docs_url=None, redoc_url=None, lifespan=_lifespan)
    users = read_users(Path(os.environ[USERS])) if os.environ.get(USERS) else None
    outer.include_router(login_routes(users))
    outer.include_router(health_routes())
    for before in (segmentations, task_status, proxy, ohif, look):
        outer.include_router(threaded(before.router))
    for part in IN_THREADS:
        outer.include_router(threaded(part.router))
    outer.include_router(threaded(infer.router))
    outer.mount("/", monailabel.app.app)
    outer.add_middleware(RequestBodyLimitMiddleware, max_body_size=int(os.environ.get(MEGABYTES, "2048")) << 20)
    outer.add_middleware(Doorway, users=users)
    return outer


@asynccontextmanager
async def _lifespan(outer: FastAPI) -> AsyncIterator[None]:
    # That of an application that is mounted is not run.
    async with monailabel.app.lifespan(monailabel.app.app):
        yield


def threaded(router: APIRouter) -> APIRouter:
    """The same routes, each answered in a thread, its errors in one line."""
    copy = APIRouter()
    for route in router.routes:
        if isinstance(route, APIRoute):
            copy.add_api_route(
                route.path,
                _in_thread(route.endpoint),
                methods=route.methods,
                summary=route.summary,
                tags=route.tags,
                include_in_schema=route.include_in_schema,
                deprecated=route.deprecated,
            )
    return copy


def _in_thread(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    def answer(**arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            result = endpoint(**arguments)
            # They are coroutines that wait for nothing.
            result = asyncio.run(result) if inspect.iscoroutine(result) else result
        except HTTPException as error:
            _tell(endpoint, error.status_code, began)
            raise
        except Exception as error:
            status, line = in_one_line(error)
            _tell(endpoint, status, began, "" if status < 500 else type(error).__name__)
            if status == 500:
                logger.exception("not expected")
            raise HTTPException(status, line) from error
        _tell(endpoint, 200, began)
        return result

    # FastAPI reads the parameters from it; what comes back is a response, or plain JSON.
    read = inspect.signature(endpoint, eval_str=True).replace(return_annotation=inspect.Signature.empty)
    answer.__signature__ = read  # type: ignore[attr-defined]
    answer.__name__ = endpoint.__name__
    return answer


def in_one_line(error: BaseException) -> tuple[int, str]:
    """The HTTP status of an error, and what the client is told."""
    if isinstance(error, MONAILabelException):
        return 404, str(error.msg)
    cause = user_error_within(error)
    if cause is None:
        return 500, f"{type(error).__name__}, which was not expected: see the server's log."
    status = next((number for kind, number in BY_KIND if isinstance(cause, kind)), 500)
    line = str(cause) if isinstance(cause, PlanarError) else f"{cause.strerror or type(cause).__name__}."
    return status, " ".join(line.split())


def _tell(endpoint: Callable[..., Any], status: int, began: float, reason: str = "") -> None:
    # Neither parameters nor ids: names of files may be names of patients.
    name = endpoint.__name__.removeprefix("api_")
    logger.info("%s %d %.0f ms%s", name, status, 1000 * (time.perf_counter() - began), f" {reason}" * bool(reason))


app = build()
