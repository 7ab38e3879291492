"""The folders in which zeroshelf keeps its own files: runs, cache, models and logs.

Each lies in the user's folder for such files, as the system has it, or where an environment
variable says. Where there is no home, or none that can be written (`docker run --user`), runs,
cache and logs lie in the system's folder for temporary files, in one folder of this user's.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable

import platformdirs

from zeroshelf.errors import UserError
from zeroshelf.system import users

APP = "zeroshelf"


def variable(name: str) -> str | None:
    """The environment variable `name`, with `~` and `~user` expanded; None where it is unset or
    empty. Raises `UserError` where such a home isn't known."""
    value = os.environ.get(name)
    if not value:
        return None
    path = os.path.expanduser(value)
    if path.startswith("~") and not os.path.exists(path):
        raise UserError(
            f"{name}: the home folder in {value!r} isn't known here: write the whole path"
        )
    return path


def runs() -> str:
    """Where runs are recorded: the folder that ZEROSHELF_RUNS names, else "runs" in the user's
    state folder. Raises `UserError` where neither is to be had."""
    named = variable("ZEROSHELF_RUNS")
    if named:
        return os.path.abspath(named)
    usual = _usual(lambda: platformdirs.user_state_dir(APP, False))
    found = os.path.join(usual, "runs") if usual else None
    if found is None or not _can_be_written(found):
        substitute = _substitute()
        if substitute is None:
            raise UserError(
                "no writable folder was found for the records of runs: set ZEROSHELF_RUNS to one"
            )
        found = os.path.join(substitute, "runs")
    return found


def cache() -> str:
    """Where the embedding cache lies: in the folder that ZEROSHELF_CACHE names, else in the user's
    cache folder. It may turn out that it can't be written there: the cache then says so."""
    named = variable("ZEROSHELF_CACHE")
    if named:
        return os.path.abspath(named)
    usual = _usual(lambda: platformdirs.user_cache_dir(APP, False))
    if usual is not None and _can_be_written(usual):
        return usual
    substitute = _substitute()
    return os.path.join(substitute, "cache") if substitute else usual or os.path.abspath(APP)


def models() -> str:
    """Where installed models lie: the folder that ZEROSHELF_MODELS names, else "models" in the
    user's data folder. Raises `UserError` where the former can't be read; where the latter can't,
    no model is installed."""
    named = variable("ZEROSHELF_MODELS")
    if named:
        folder = os.path.abspath(named)
        if not _can_be_read(folder):
            raise UserError(f"ZEROSHELF_MODELS: {folder} can't be read: name another folder")
        return folder
    usual = _usual(lambda: platformdirs.user_data_dir(APP))  # so it was called in 0.1.0
    if usual is None or not _can_be_read(folder := os.path.join(usual, "models")):
        return os.path.join(_substitute() or os.path.abspath(APP), "models")
    return folder


def logs() -> str | None:
    """Where a bug's traceback goes; None where there is no place for it."""
    usual = _usual(lambda: platformdirs.user_log_dir(APP))
    if usual is not None and _can_be_written(usual):
        return usual
    return _substitute()


def notice() -> str | None:
    """One line where the usual folder of the runs or of the cache can't be had; None where all is
    as usual.

    Tries to write into the folder of the runs, so that a run that couldn't be recorded is found out
    before any picture is read, and leaves nothing there. Raises `UserError` where it can't.
    """
    kept = runs()
    try:
        _try_to_write(kept)
    except OSError as error:
        raise UserError(
            f"runs can't be recorded in {kept} ({error.strerror or error}): set ZEROSHELF_RUNS to "
            "a folder that can be written"
        ) from None
    moved = {
        name: place
        for name, place in (("ZEROSHELF_RUNS", kept), ("ZEROSHELF_CACHE", cache()))
        if not os.environ.get(name) and _is_substitute(place)
    }
    if not moved:
        return None
    return (
        "no writable home folder was found, so this is kept in a temporary folder, where "
        f"`zeroshelf undo` finds it until the folder is emptied: {', '.join(moved.values())}; set "
        f"{' and '.join(moved)} to folders that stay"
    )


def _try_to_write(folder: str) -> None:
    """Raises OSError where no file can be made in `folder`, nor the folder itself."""
    missing: list[str] = []
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        missing.append(folder)
        folder = os.path.dirname(folder)
    made: list[str] = []
    try:
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another run is quicker
                os.mkdir(folder, mode=0o700)
                made.append(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    finally:
        for one in reversed(made):
            with contextlib.suppress(OSError):  # in use by another run meanwhile
                os.rmdir(one)


def _usual(place: Callable[[], str]) -> str | None:
    """The folder by platformdirs; None where the user has no home."""
    try:
        found = place()
    except (OSError, RuntimeError, KeyError, ValueError):  # each system fails in its own way
        return None
    return found if os.path.isabs(found) else None  # without a home: "~/.local/state"


def _can_be_written(folder: str) -> bool:
    """Whether `folder` can be written, or made where it is missing; nothing is made to find out."""
    above = folder
    while not os.path.lexists(above) and os.path.dirname(above) != above:
        above = os.path.dirname(above)
    return os.path.isdir(above) and users.may_write(above)


def _can_be_read(folder: str) -> bool:
    """True also where there is nothing yet."""
    try:
        os.lstat(folder)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # in a folder that can't be looked into
        return False
    return os.access(folder, os.R_OK | os.X_OK) or not os.path.isdir(folder)


def _substitute_path() -> str | None:
    """The same path for the same user, in every process and from every folder."""
    try:
        temporary = os.path.abspath(tempfile.gettempdir())
    except OSError:
        return None
    named = [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
    with contextlib.suppress(OSError):
        here = os.getcwd()  # what gettempdir gives where there is no better one: not for us
        if temporary == here and here not in {"/tmp", "/var/tmp", "/usr/tmp", *named}:
            return None
    return os.path.join(temporary, _name())


def _substitute() -> str | None:
    """That folder, made for this user alone; None where it can't be had or is another user's."""
    folder = _substitute_path()
    if folder is None:
        return None
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, mode=0o700)
        at = os.lstat(folder)
    except OSError:
        return None
    return folder if stat.S_ISDIR(at.st_mode) and users.is_private(at) else None


def _is_substitute(place: str) -> bool:
    """The name is compared first: asked for its folder, `tempfile` tries it with a file."""
    folder = os.path.dirname(place)
    return os.path.basename(folder) == _name() and folder == _substitute_path()


def _name() -> str:
    return f"{APP}-{users.user_id()}"
