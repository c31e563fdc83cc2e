"""Pages that show an image with a label drawn over it, in any browser.

OHIF lays a segmentation over images by their orientation in the patient. X-rays have none, so it cannot lay one over
them: its reader of DICOM SEG (cornerstone's adapters) stops at the PlaneOrientationSequence that theirs does not have.
"""

from functools import cache
from pathlib import Path
from typing import Any, Optional

import jinja2
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from monailabel.config import settings
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.utils.app import app_instance

from pipeline.errors import InvalidOption
from pipeline.label_app.images import LabelledImages
from pipeline.label_app.shown import choices, drawn, to_show

__all__ = ["router"]

# Of the picture on the page; what is larger is shrunk.
LONGEST = 1024

router = APIRouter(prefix="/look", tags=["Pages"], include_in_schema=False)
USER = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))


@router.get("/")
def api_look_list(user: User = USER) -> HTMLResponse:
    """All images, and which labels they have."""
    images, _ = _images()
    rows = [(image, sorted(images.labels.tags(image))) for image in images.list_images()]
    return HTMLResponse(_render(images=rows, title=images.name()))


@router.get("/{image}")
def api_look(
    image: str,
    show: str = "",
    slice: Optional[int] = None,  # noqa: UP045  (FastAPI reads it while it runs)
    user: User = USER,
) -> HTMLResponse:
    """An image with what `show` names drawn over it: a label's tag, "stored", a model; by default the first label."""
    from pipeline.report.page import picture_uri

    images, models = _images()
    images.refresh()
    offered = choices(images, image, models)
    # A model computes only for whoever asks for it.
    what = show or next((one for one in offered if one not in models), "")
    shown = to_show(images, image, what, models) if what else None
    picture = images.source(image).picture()
    canvas, number = drawn(picture, shown, slice)
    page = _render(
        title=image,
        picture=picture_uri(canvas, longest=LONGEST, image_format="PNG"),
        offered=offered,
        what=what,
        shown=shown,
        number=number,
        depth=picture.depth,
    )
    return HTMLResponse(page)


def _images() -> tuple[LabelledImages, dict[str, Any]]:
    app = app_instance()
    images = app.datastore()
    if not isinstance(images, LabelledImages):
        raise InvalidOption("These images are not Planar's to show.")
    return images, app._infers


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)


def _render(**content: Any) -> str:
    return _environment().get_template("look.html.j2").render(**content)
