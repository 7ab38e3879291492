"""An entry for the app among the system's programs: which files that takes, on each system.

Linux: a desktop entry (freedesktop.org) and its icon. macOS: a bundle below ~/Applications.
Windows: a command file in the Start menu. Only `install` writes, and only `remove` removes; that
leaves alone what someone changed.
"""

from __future__ import annotations

import contextlib
import os
import plistlib
import shlex
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass

NAME = "zeroshelf"
COMMENT = "Sort pictures onto shelves that you name in your own words"
_IDENTIFIER = "org.zeroshelf.app"


@dataclass(frozen=True, slots=True)
class ShortcutFile:
    """One file of a shortcut. Nothing is written yet."""

    path: str
    content: bytes
    is_program: bool = False

    @property
    def text(self) -> str:
        return self.content.decode("utf-8")


def files(command: Sequence[str], icon: bytes, system: str = sys.platform) -> list[ShortcutFile]:
    """The files that make `command` a program of this user's menu.

    command: the program and its arguments, the program as an absolute path.
    icon: an SVG.
    system: as `sys.platform` names it.
    """
    home = os.path.expanduser("~")
    if system == "win32":
        return _windows(command, home)
    if system == "darwin":
        return _macos(command, home)
    return _linux(command, icon, home)


def install(wanted: Sequence[ShortcutFile]) -> None:
    """Write the files, each whole or not at all. Raises `OSError`."""
    for file in wanted:
        os.makedirs(os.path.dirname(file.path), exist_ok=True)
        beside = f"{file.path}.part"
        with open(beside, "wb") as out:
            out.write(file.content)
        if file.is_program:
            os.chmod(beside, os.stat(beside).st_mode | stat.S_IXUSR)
        os.replace(beside, file.path)


def remove(wanted: Sequence[ShortcutFile]) -> tuple[list[str], list[str]]:
    """Remove the files, and the folders of a bundle. The paths that are gone, and those that were
    left alone because they have another content. Raises `OSError`."""
    gone, left = [], []
    for file in wanted:
        now = content_of(file)
        if now is None:
            continue
        if now != file.content:
            left.append(file.path)
            continue
        os.remove(file.path)
        gone.append(file.path)
        folder = os.path.dirname(file.path)
        while f"{NAME}.app" in folder.split(os.sep):
            with contextlib.suppress(OSError):  # not empty
                os.rmdir(folder)
            folder = os.path.dirname(folder)
    return gone, left


def content_of(file: ShortcutFile) -> bytes | None:
    """What lies at the file's path now; None where there is nothing."""
    try:
        with open(file.path, "rb") as found:
            return found.read()
    except FileNotFoundError:
        return None


def _linux(command: Sequence[str], icon: bytes, home: str) -> list[ShortcutFile]:
    data = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):  # as the specification wants it
        data = os.path.join(home, ".local", "share")
    picture = os.path.join(data, "icons", "hicolor", "scalable", "apps", f"{NAME}.svg")
    entry = (
        "[Desktop Entry]\n"
        "Type=Application\n"
        f"Name={NAME}\n"
        f"Comment={COMMENT}\n"
        f"Exec={' '.join(map(_of_exec, command))}\n"
        f"Icon={_of_entry(picture)}\n"
        "Terminal=false\n"
        "Categories=Graphics;Photography;\n"
    )
    place = os.path.join(data, "applications", f"{NAME}.desktop")
    return [ShortcutFile(picture, icon), ShortcutFile(place, entry.encode())]


def _of_exec(argument: str) -> str:
    """An argument of the key Exec: quoted, and what is special in quotes or values escaped."""
    quoted = "".join(f"\\{c}" if c in '"`$\\' else c for c in argument).replace("%", "%%")
    return _of_entry(f'"{quoted}"')


def _of_entry(value: str) -> str:
    """A value of a desktop entry."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def _macos(command: Sequence[str], home: str) -> list[ShortcutFile]:
    bundle = os.path.join(home, "Applications", f"{NAME}.app", "Contents")
    about = {
        "CFBundleName": NAME,
        "CFBundleIdentifier": _IDENTIFIER,
        "CFBundleExecutable": NAME,
        "CFBundlePackageType": "APPL",
        "CFBundleInfoDictionaryVersion": "6.0",
    }
    script = f"#!/bin/sh\nexec {shlex.join(command)}\n"
    return [
        ShortcutFile(os.path.join(bundle, "Info.plist"), plistlib.dumps(about)),
        ShortcutFile(os.path.join(bundle, "MacOS", NAME), script.encode(), is_program=True),
    ]


def _windows(command: Sequence[str], home: str) -> list[ShortcutFile]:
    roaming = os.environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
    menu = os.path.join(roaming, "Microsoft", "Windows", "Start Menu", "Programs")
    quoted = " ".join(f'"{argument}"'.replace("%", "%%") for argument in command)
    script = f'@chcp 65001 >nul\r\n@start "{NAME}" /min {quoted}\r\n'
    return [ShortcutFile(os.path.join(menu, f"{NAME}.cmd"), script.encode())]
