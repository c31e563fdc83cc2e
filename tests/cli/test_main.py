from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pipeline import __version__
from pipeline.cli import main as main_module
from pipeline.cli.main import COMMANDS, main
from pipeline.errors import MissingFile, UnreadableImage
from pipeline.terminations import Terminated

ROOT = Path(__file__).parents[2]
PLANAR = "from pipeline.cli import main; main()"
main_file = sys.modules["pipeline.cli.main"]


def planar(*args: str, code: str = PLANAR) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, cwd=ROOT, check=False)


def status_of(*args: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main([*args])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def behaves(monkeypatch: pytest.MonkeyPatch):
    """Make `planar train` call a function and nothing else."""

    def put(function) -> None:
        command = click.Command("train", callback=function)
        monkeypatch.setattr(main_file.root, "get_command", lambda ctx, name: command if name == "train" else None)

    return put


def raising(error: BaseException):
    def function() -> None:
        raise error

    return function


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom pipeline.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'torch', 'monai', 'mlflow', 'pydicom', 'numpy', 'pandas', 'SimpleITK', 'nibabel', 'ignite', 'PIL'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    result = planar(code=code)
    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == "HEAVY []"


def test_help_lists_every_command_in_the_way_of_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("--help") == 0
    text = capsys.readouterr().out
    places = [text.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)
    way = ["index", "inspect", "plan", "train", "find-best", "calibrate", "evaluate", "report", "compare"]
    assert [name for name in COMMANDS if name in way] == way


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("--version") == 0
    assert capsys.readouterr().out == f"planar, version {__version__}\n"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_each_command_is_found_and_shows_its_help_without_heavy_imports(name: str) -> None:
    code = (
        "import sys\nfrom pipeline.cli import main\n"
        f"try:\n    main(['{name}', '--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "print('HEAVY', sorted({'torch', 'monai', 'mlflow', 'pydicom', 'pandas', 'SimpleITK'} & set(sys.modules)))\n"
    )
    result = planar(code=code)
    assert result.stdout.startswith(f"Usage: planar {name} ")
    assert result.stdout.splitlines()[-1] == "HEAVY []"


def test_a_mistyped_command_gets_the_nearest_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("trian") == 2
    error = capsys.readouterr().err
    assert error.count("Did you mean") == 1
    assert error.rstrip().endswith("No such command 'trian'. Did you mean 'train'?")


def test_a_command_like_no_other_gets_no_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("qqqq") == 2
    assert "Did you mean" not in capsys.readouterr().err


def test_a_commands_number_is_the_exit_status(behaves) -> None:
    behaves(lambda: 1)
    assert status_of("train") == 1
    behaves(lambda: None)
    assert status_of("train") == 0


def test_the_users_error_in_monais_wrapping_is_one_line(behaves, capsys: pytest.CaptureFixture[str]) -> None:
    outer = RuntimeError("applying transform <LoadImaged object>")
    outer.__cause__ = UnreadableImage("a.png: truncated\n  after 5 rows. Export it again.")
    behaves(raising(outer))
    assert status_of("train") == 1
    assert capsys.readouterr() == ("", "Error: a.png: truncated after 5 rows. Export it again.\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MissingFile("a.png is not there. Name another."), "Error: a.png is not there. Name another.\n"),
        (PermissionError(13, "Permission denied", "/out"), "Error: /out: Permission denied.\n"),
        (OSError(28, "No space left on device", "/out/a"), "Error: /out/a: No space left on device.\n"),
        (
            OSError(28, "No space left on device"),
            "Error: The disk is full. Make room where the results, mlruns.db or temporary files (TMPDIR) lie.\n",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            "Error: The disk is full. Make room where the results, mlruns.db or temporary files (TMPDIR) lie.\n",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/out/a"), "Error: /out/a: Disk quota exceeded.\n"),
        (OSError(21, "Is a directory", "/o/.part-1-a", None, "/o/a"), "Error: /o/a: Is a directory.\n"),
    ],
)
def test_errors_of_files_are_one_line(
    behaves, capsys: pytest.CaptureFixture[str], error: BaseException, line: str
) -> None:
    behaves(raising(error))
    assert status_of("train") == 1
    assert capsys.readouterr().err == line


def test_an_unexpected_error_is_one_line_with_the_place_of_its_traceback(
    behaves, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    outer = RuntimeError("wrapped")
    outer.__cause__ = KeyError("label")
    behaves(raising(outer))
    assert status_of("train") == 1
    (log,) = tmp_path.iterdir()
    expected = f"Error: KeyError: 'label' (unexpected; please report it with {log})\n"
    assert capsys.readouterr().err == expected
    assert "RuntimeError: wrapped" in log.read_text()


def test_an_unexpected_error_is_one_line_where_no_traceback_can_be_written(
    behaves, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    behaves(raising(KeyError("label")))
    assert status_of("train") == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: KeyError: 'label' (unexpected; its traceback could not be written to ")
    assert said.endswith("No space left on device)\n")


def test_what_is_reported_is_the_bug_and_not_what_was_handled_before_it(
    behaves, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bug = TypeError("the bug")
    bug.__context__ = KeyError("harmless")
    behaves(raising(bug))
    assert status_of("train") == 1
    assert capsys.readouterr().err.startswith("Error: TypeError: the bug (")


def test_a_traceback_is_there_for_whoever_asks(behaves, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANAR_TRACEBACK", "1")
    behaves(raising(MissingFile("a.png is not there.")))
    with pytest.raises(MissingFile):
        main(["train"])


def test_ctrl_c_exits_130(behaves, capsys: pytest.CaptureFixture[str]) -> None:
    behaves(raising(KeyboardInterrupt()))
    assert status_of("train") == 130
    assert capsys.readouterr().err.strip().startswith("Stopped by Ctrl-C.")


@pytest.mark.parametrize(("stop", "said", "status"), [(KeyboardInterrupt, "Ctrl-C", 130), (Terminated, "SIGTERM", 143)])
def test_a_command_that_is_stopped_says_how_it_goes_on(
    behaves, capsys: pytest.CaptureFixture[str], stop: type[BaseException], said: str, status: int
) -> None:
    for note in ("Nothing unfinished was left under a final name.", "Go on with: planar train t --data d --resume"):
        error = stop()
        if note.startswith("Go on"):
            error.add_note(note)
        behaves(raising(error))
        assert status_of("train") == status
        assert capsys.readouterr().err.strip() == f"Stopped by {said}. {note}"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT of its own")
def test_ctrl_c_itself_says_how_a_command_goes_on(behaves, capsys: pytest.CaptureFixture[str]) -> None:
    """click raises an error of its own from it, and `interrupts_first` another."""

    def stopped() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            error.add_note("Go on with: planar train t --data d --resume")
            raise

    behaves(stopped)
    assert status_of("train") == 130
    assert capsys.readouterr().err.strip() == "Stopped by Ctrl-C. Go on with: planar train t --data d --resume"


def test_a_truncated_file_is_not_taken_for_ctrl_c(
    behaves, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    behaves(raising(EOFError("Compressed file ended early")))
    assert status_of("train") == 1
    assert "EOFError: Compressed file ended early" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise on Windows")
def test_a_reader_that_has_gone_after_the_work_was_done_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    code = (
        "import sys, click\nfrom pipeline.cli import main\n"
        "root = sys.modules['pipeline.cli.main'].root\n"
        "root.get_command = lambda ctx, name: click.Command(name, callback=lambda: print('done'))\n"
        "main(['train'])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, cwd=ROOT, env=environment, check=False)
    os.close(write)
    assert (result.returncode, result.stderr) == (0, b"")


def test_the_package_exports_the_entry_point() -> None:
    assert main_module is main
