"""The way from OHIF's pages to the archive, which a browser must find under the address of the page itself.

MONAI Label's own leaves out what is searched for, waits in the event loop for as long as the archive likes, knows
other credentials than ours, and hands on studies without a modality, at which OHIF's list stops. None of it is left.
"""

import json
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from monailabel.interfaces.utils.app import app_instance
from starlette.responses import StreamingResponse

from pipeline.errors import ArchiveUnreachable, MissingFile
from pipeline.label_app.archive import ArchiveImages

__all__ = ["router"]

CHUNK = 1 << 18
# Of what is stored; the rest waits on the disk.
IN_MEMORY = 16 << 20
MULTIPART = "multipart/related"
# The archive's other addresses are not for everybody who may look at images.
SERVICES = ("studies", "series", "instances", "bulk", "wado")
HANDED_ON = ("accept", "content-type")
HANDED_BACK = ("content-type", "content-disposition")
# ModalitiesInStudy and Modality; of a study that says none it is another one.
MODALITIES, MODALITY = "00080061", "00080060"
OTHER = "OT"

router = APIRouter(prefix="/proxy", tags=["Proxy"], include_in_schema=False)


@router.get("/dicom/{service}/{path:path}")
def api_read(service: str, path: str, request: Request) -> Any:
    """QIDO-RS and WADO-RS."""
    archive = _archive()
    url, headers = _url(archive, path, request), _headers(request)
    answer = archive.ask(
        "what a page wants cannot be read", lambda: archive.session.get(url, headers=headers, stream=True)
    )
    kind = answer.headers.get("content-type", "")
    if path.rstrip("/").endswith("studies") and "json" in kind:
        return Response(json.dumps(with_modalities(answer.json())), answer.status_code, media_type=kind)
    back = {name: answer.headers[name] for name in HANDED_BACK if name in answer.headers}
    return StreamingResponse(answer.iter_content(CHUNK), answer.status_code, back)


async def _body(request: Request) -> AsyncIterator[IO[bytes]]:
    """What was sent, on the disk if it is large."""
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        async for chunk in request.stream():
            file.write(chunk)
        file.seek(0)
        yield file


BODY = Depends(_body)


@router.post("/dicom/{service}/{path:path}")
def api_store(service: str, path: str, request: Request, body: IO[bytes] = BODY) -> Any:
    """STOW-RS, by which OHIF's study list takes files."""
    archive = _archive()
    if path.partition("/")[0] != "studies" or not request.headers.get("content-type", "").startswith(MULTIPART):
        raise MissingFile("Only DICOM objects are sent this way, to studies.")
    url, headers = _url(archive, path, request), _headers(request)

    def send() -> Any:
        body.seek(0)
        return archive.session.post(url, headers=headers, data=body)

    answer = archive.ask("what a page sends cannot be stored", send)
    back = {name: answer.headers[name] for name in HANDED_BACK if name in answer.headers}
    return Response(answer.content, answer.status_code, back)


@router.api_route("/{path:path}", methods=["GET", "POST"])
def api_elsewhere(path: str) -> Any:
    """Nothing: MONAI Label's own proxy, which stands behind this one, would hand it on."""
    raise MissingFile("There is no such service of DICOMweb.")


def with_modalities(studies: Any) -> Any:
    """A list of studies in which each says a modality."""
    for study in studies if isinstance(studies, list) else ():
        said = study.get(MODALITIES, {}).get("Value") or study.get(MODALITY, {}).get("Value") or [OTHER]
        study[MODALITIES] = {"vr": "CS", "Value": [value for value in said if value] or [OTHER]}
    return studies


def _archive() -> Any:
    images = app_instance().datastore()
    if not isinstance(images, ArchiveImages):
        raise MissingFile("The server's images are those of a folder: there is no archive behind it.")
    if reason := images.why_not():
        raise ArchiveUnreachable(reason)
    return images.archive


def _url(archive: Any, path: str, request: Request) -> str:
    parts = path.split("/")
    if parts[0] not in SERVICES or any(part in ("", ".", "..") for part in parts[:-1]):
        raise MissingFile("There is no such service of DICOMweb.")
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{archive.address.url}/{path}{query}"


def _headers(request: Request) -> dict[str, str]:
    return {name: request.headers[name] for name in HANDED_ON if name in request.headers}
