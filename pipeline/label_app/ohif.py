"""OHIF's pages, which are told where the server is.

OHIF's panel for MONAI Label takes port 8000 of the page's host for the server, and takes another address that is typed
into it only at the second click. It remembers the address in a cookie, so the pages come with that cookie.
"""

import mimetypes
from pathlib import Path
from urllib.parse import quote

import monailabel.endpoints
from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse
from monailabel.config import settings
from monailabel.endpoints.user.auth import RBAC, User

from pipeline.errors import MissingFile

__all__ = ["router"]

FOLDER = Path(monailabel.endpoints.__file__).parent / "static" / "ohif"
PAGE = "index.html"
COOKIE = "MONAILABEL_SERVER_URL"

router = APIRouter(prefix="/ohif", include_in_schema=False)
USER = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))


@router.get("/{path:path}")
def api_ohif(path: str, request: Request, user: User = USER) -> FileResponse:
    """A file of OHIF's, or its page, which finds out itself what an address means."""
    file = (FOLDER / path).resolve()
    if not file.is_file() or not file.is_relative_to(FOLDER.resolve()):
        file = FOLDER / PAGE
    if not file.is_file():
        raise MissingFile("This MONAI Label came without OHIF. Use 3D Slicer, or install monailabel from PyPI.")
    answer = FileResponse(file, media_type=mimetypes.guess_type(file.name)[0] or "application/octet-stream")
    if file.name == PAGE:
        # Under the path by which OHIF's own cookie of this name goes, so that there is one and not two.
        answer.set_cookie(COOKIE, quote(str(request.base_url), safe=""), path="/ohif", samesite="strict")
    return answer
