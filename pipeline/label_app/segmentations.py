"""Answers as DICOM segmentations, made by Planar and not by dcmqi, which refuses films.

These routes stand before MONAI Label's own of the same address.
"""

from typing import Optional

from fastapi import APIRouter, Depends, File, Form, UploadFile
from fastapi.background import BackgroundTasks
from fastapi.responses import FileResponse
from monailabel.config import settings
from monailabel.endpoints.infer import ResultType, run_inference
from monailabel.endpoints.user.auth import RBAC, User

from pipeline.errors import UnsupportedImage

__all__ = ["router"]

router = APIRouter(prefix="/infer", tags=["Infer"])
NO_FILE = File(None)
PARAMS = Form("{}")
USER = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))


@router.post("/{model}")
def api_infer(
    background_tasks: BackgroundTasks,
    model: str,
    image: str = "",
    session_id: str = "",
    params: str = PARAMS,
    file: UploadFile = NO_FILE,
    label: UploadFile = NO_FILE,
    output: Optional[ResultType] = None,  # noqa: UP045  (FastAPI reads it while it runs)
    user: User = USER,
) -> object:
    """As MONAI Label's, and with `output=dicom_seg` for every DICOM image."""
    if output != ResultType.dicom_seg:
        return run_inference(background_tasks, model, image, session_id, params, file, label, output)
    import json

    wanted = json.dumps({**json.loads(params or "{}"), "result_extension": ".dcm"})
    answer = run_inference(background_tasks, model, image, session_id, wanted, file, label, ResultType.image)
    if not isinstance(answer, FileResponse):
        raise UnsupportedImage("There is no file in the answer. Leave out result_write_to_file.")
    return FileResponse(answer.path, media_type="application/dicom", filename=f"{model}.dcm")
