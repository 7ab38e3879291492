"""`zeroshelf playground`: the notebooks, copied to where the user can change them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from zeroshelf.commands.options import showing
from zeroshelf.commands.terminal import Screen
from zeroshelf.counting import counted
from zeroshelf.errors import UserError

_SUFFIXES = (".ipynb", ".md", ".jpg", ".png")  # of a notebook, its index and its pictures


@click.command()
@click.option(
    "--to",
    type=click.Path(),
    default="zeroshelf-playground",
    show_default=True,
    help="A folder for the notebooks.",
)
@click.option("--no-open", is_flag=True, help="Only copy the notebooks.")
@showing
def command(to: str, no_open: bool, screen: Screen) -> int:
    """Copy the notebooks into a folder, and open them in Jupyter.

    A file that is there already stays as it is. Jupyter is a further package:
    pip install "zeroshelf[notebook]". Ctrl-C ends it.
    """
    root = os.path.abspath(os.path.expanduser(to))
    made, kept = copy(shipped(), root)
    screen.say(f"{counted(len(made), 'file')} copied to {root}")
    if kept:
        screen.say(f"{counted(len(kept), 'file')} there already, left as found")
    screen.data({"folder": root, "copied": made, "kept": kept})
    return 0 if no_open else _open(root)


def shipped() -> Path:
    """The folder of the notebooks: in an installed package below its data, in a checkout of the
    repository beside src. Raises `UserError` where there is neither."""
    package = Path(__file__).parent.parent
    for folder in (package / "data" / "notebooks", package.parent.parent / "notebooks"):
        if folder.is_dir():
            return folder
    raise UserError("this installation has no notebooks: install zeroshelf again from its wheel")


def copy(source: Path, root: str) -> tuple[list[str], list[str]]:
    """Copy the notebooks, their index and their pictures from `source` into the folder `root`.

    Returns: the paths below `root` that were copied, and those that were there already and were
    left alone, with "/" between their parts.

    Raises `UserError` where `root` can't be written.
    """
    made: list[str] = []
    kept: list[str] = []
    try:
        for relative in _files(source):
            target = Path(root, relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            content = (source / relative).read_bytes()
            (made if _written(target, content) else kept).append(relative.as_posix())
    except OSError as error:
        raise UserError(
            f"the notebooks can't be written to {root}: {error.strerror}; choose another with --to"
        ) from None
    return made, kept


def _files(source: Path) -> Iterator[Path]:
    """The paths of all files to copy, relative to `source`."""
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.is_file() and path.suffix in _SUFFIXES and not hidden:
            yield relative


def _written(target: Path, content: bytes) -> bool:
    """Write a new file; False where something has that name, were it only a broken link."""
    try:
        file = open(target, "xb")  # noqa: SIM115
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except BaseException:  # half a notebook would be left as it is by the next call
        target.unlink()
        raise
    return True


def _open(root: str) -> int:
    """Run Jupyter on the folder until the user ends it.

    Raises `UserError` where Jupyter isn't installed.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise UserError(
            f'Jupyter opens them: pip install "zeroshelf[notebook]"; they are in {root}'
        )
    with subprocess.Popen([sys.executable, "-m", "jupyterlab"], cwd=root) as jupyter:
        while True:
            try:
                return 1 if jupyter.wait() > 0 else 0
            except KeyboardInterrupt:  # Jupyter has it too, and asks before it ends
                continue
