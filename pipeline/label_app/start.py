"""Starting the server: its working folder, its settings, and MONAI Label's own way to run it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from pipeline.atomic import write_text_aside
from pipeline.bundle import Bundle
from pipeline.dicomweb import Address
from pipeline.errors import MissingExtra, MissingFile
from pipeline.label_app.bundles import find_bundles
from pipeline.label_app.own_copy import own_copy
from pipeline.label_app.settings import MEGABYTES, ORIGIN, USERS
from pipeline.tracking.state import state_folder

__all__ = ["Server", "prepare", "require_monailabel", "serve"]

MAIN = '''"""What MONAI Label loads; written by `planar label start`."""

from pipeline.label_app.app import PlanarLabelApp  # noqa: F401
'''
# Loggers of what runs in processes of their own.
TASKS = ("task_train", "task_batch_infer", "task_scoring")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Server:
    """A server that is ready to be started.

    Attributes:
        studies: A folder of images, or the address of a DICOMweb archive.
        bundles: The bundles, by the names that clients see.
        host: Address that it listens on.
        port: Of that.
        work: Its working folder.
        conf: Settings of the app.
        users: File of users, or None.
        megabytes: The largest request.
        remarks: What a user should know.
    """

    studies: str
    bundles: dict[str, Bundle]
    host: str
    port: int
    work: Path
    conf: dict[str, str] = field(default_factory=dict)
    users: Path | None = None
    megabytes: int = 2048
    remarks: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """What to enter in 3D Slicer."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def ohif(self) -> str:
        """The address of OHIF, which shows archives alone; "" for a folder."""
        return f"{self.address}/ohif/" if is_archive(self.studies) else ""


def require_monailabel() -> None:
    """Raise MissingExtra unless MONAI Label is installed."""
    if find_spec("monailabel") is None:
        raise MissingExtra(
            "MONAI Label is not installed here. It needs an environment of its own, with pydicom 2.4 and NumPy 1.26: "
            "make label, or pip install -c constraints-label.txt '.[label]', in Planar's checkout."
        )


def is_archive(studies: str) -> bool:
    """Whether images come from DICOMweb and not from a folder."""
    return studies.startswith(("dicomweb://", "dicomwebs://", "http://", "https://"))


def prepare(
    studies: str,
    bundles: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    work: Path | None = None,
    conf: Sequence[tuple[str, str]] = (),
    users: Path | None = None,
    megabytes: int = 2048,
) -> Server:
    """Check what the server is to be started with.

    Args:
        studies: A folder of images, or the address of a DICOMweb archive.
        bundles: Names or folders.
        host: Address to listen on.
        port: Of that.
        work: Working folder; by default one of this user for these studies.
        conf: Settings of the app, as MONAI Label's `--conf`.
        users: Who may log in, a file as `htpasswd -B` writes it; by default everybody is let in.
        megabytes: The largest request.

    Raises:
        InvalidBundle, InvalidOption, MissingFile: for what cannot be.
    """
    found = find_bundles(bundles)
    if is_archive(studies):
        # MONAI Label tells archives from folders by this beginning.
        studies = Address.parse(studies).url
    else:
        if not Path(studies).is_dir():
            raise MissingFile(f"{studies}: no such folder of images. Give a folder, or the address of an archive.")
        studies = str(Path(studies).resolve())
    if users is not None and not users.is_file():
        raise MissingFile(f"{users}: no such file of users. Make one: htpasswd -B -c {users} NAME")
    remarks = [] if users or host in LOOPBACK else [f"Everybody who reaches {host} is let in: give --users FILE."]
    missing = [name for name, bundle in found.items() if not bundle.weights.is_file()]
    remarks += [f"{name} has no weights yet: it can be trained, and segments nothing before." for name in missing]
    name = hashlib.sha256(studies.encode()).hexdigest()[:16]
    folder = (work or state_folder() / "label" / name).resolve()
    users = users.resolve() if users else None
    return Server(studies, found, host, port, folder, dict(conf), users, megabytes, tuple(remarks))


def serve(server: Server, run: Callable[[], None] | None = None) -> None:
    """Run the server until it is stopped.

    Args:
        server: From `prepare`.
        run: What to call when all is set; by default MONAI Label's own command.
    Raises: MissingExtra: if MONAI Label is not installed.
    """
    require_monailabel()
    # Clients on this machine write results under the names that the server gave them: in another folder.
    temporary = server.work / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = None
    write_text_aside(server.work / "main.py", MAIN)
    log_config = server.work / "logging.json"
    write_text_aside(log_config, json.dumps(_log_config(server.work / "logs" / "app.log"), indent=1) + "\n")
    os.environ |= {"TMPDIR": str(temporary), MEGABYTES: str(server.megabytes), USERS: str(server.users or "")}
    os.environ[ORIGIN] = server.address
    for name, value in _defaults(server).items():
        os.environ.setdefault(name, value)
    arguments = ["start_server", "--app", str(server.work), "--studies", server.studies]
    arguments += ["--host", server.host, "--port", str(server.port), "--log_config", str(log_config)]
    arguments += ["--uvicorn_app", "pipeline.label_app.server:app", "--verbose", "WARNING", "--log_level", "warning"]
    own = [str(own_copy(bundle, server.work / "bundles").root) for bundle in server.bundles.values()]
    for name, value in {**server.conf, "bundles": json.dumps(own)}.items():
        arguments += ["--conf", name, value]
    sys.argv = ["monailabel", *arguments]
    (run or _run)()


def _run() -> None:
    from monailabel.main import Main

    Main(loglevel="WARNING").run()


def _defaults(server: Server) -> dict[str, str]:
    """Settings of MONAI Label that the environment may say otherwise."""
    return {
        "MONAI_LABEL_SESSION_PATH": str(server.work / "sessions"),
        "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
        "MONAI_LABEL_DICOMWEB_SEARCH_FILTER": "{}",
    }


def _log_config(file: Path) -> dict[str, object]:
    """What goes to the log: requests without their parameters, and errors."""
    file.parent.mkdir(parents=True, exist_ok=True)
    plain = {"format": "%(asctime)s %(levelname)s %(message)s"}
    rotating = {"class": "logging.handlers.RotatingFileHandler", "filename": str(file), "encoding": "utf-8"}
    here = {"level": "INFO", "propagate": False, "handlers": ["console", "file"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": plain},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "plain"},
            "file": {**rotating, "formatter": "plain", "backupCount": 10, "maxBytes": 10 << 20},
        },
        "root": {"level": "WARNING", "handlers": ["console", "file"]},
        "loggers": {
            "pipeline.label_app": here,
            # They write down requests with file names, and what a transform was given when it failed; what a training
            # says, its status has.
            **{name: {"level": "ERROR"} for name in ("monailabel", "uvicorn", "urllib3", "httpx", *TASKS)},
            "uvicorn.error": {"level": "WARNING"},
            "DataStats": {"level": "CRITICAL"},
        },
    }
