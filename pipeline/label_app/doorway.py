"""The door of the server: who is let in, and how a user logs in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException
from fastapi.security import OAuth2PasswordRequestForm
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.label_app.access import Users, current_user

__all__ = ["Doorway", "login_routes"]

# Whether there is a login, how to log in, and whether the server is there, everybody may know.
OPEN = ("/auth", "/auth/", "/auth/token", "/health")


class Doorway:
    """Lets through who may, and notes who it is.

    Args:
        app: What lies behind.
        users: Who may; None for everybody.
    """

    def __init__(self, app: ASGIApp, users: Users | None) -> None:
        self.app = app
        self.users = users

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self.users is None or scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        name = self.users.of(Headers(scope=scope).get("authorization", ""))
        if name is None:
            refusal = JSONResponse({"detail": "Log in: send name and password, or a token of /auth/token."}, 401)
            # A browser asks its user then.
            refusal.headers["WWW-Authenticate"] = 'Basic realm="planar"'
            await refusal(scope, receive, send)
            return
        token = current_user.set(name)
        try:
            await self.app(scope, receive, send)
        finally:
            current_user.reset(token)


def login_routes(users: Users | None) -> APIRouter:
    """How 3D Slicer finds out that there is a login, and logs in."""
    router = APIRouter(prefix="/auth", tags=["Auth"])

    @router.get("/")
    def enabled() -> dict[str, Any]:
        return {"enabled": users is not None, "client_id": "planar", "realm": ""}

    @router.post("/token")
    def token(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, Any]:
        if users is None:
            return {"access_token": None, "token_type": None}
        if not users.check(form.username, form.password):
            raise HTTPException(401, "Name and password do not go together.")
        return {"access_token": users.token(form.username), "token_type": "bearer"}

    @router.get("/token/valid")
    def valid(authorization: Annotated[str, Header()] = "") -> dict[str, Any]:
        return {"username": users.of(authorization) if users is not None else ""}

    return router
