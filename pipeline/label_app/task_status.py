"""Whether a training runs, also right after it was asked for.

MONAI Label says that there is none until the process of the training is there, and clients that believe it start
another. This route stands before MONAI Label's own of the same address.
"""

from typing import Any

from fastapi import APIRouter, Depends, HTTPException
from monailabel.config import settings
from monailabel.endpoints import train
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.utils.async_tasks.utils import tasks

__all__ = ["router"]

UNFINISHED = ("SUBMITTED", "RUNNING")

router = APIRouter(prefix="/train", tags=["Train"])
USER = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))


@router.get("/")
def api_training(all: bool = False, check_if_running: bool = False, user: User = USER) -> Any:
    """The last training, or all of them; with `check_if_running` 404 unless one waits or runs."""
    if not check_if_running:
        return train.status(all, False)
    running = [task for task in tasks("train") if task["status"] in UNFINISHED]
    if not running:
        raise HTTPException(404, "No training runs.")
    return running[0]
