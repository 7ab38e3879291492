"""The main job on systems that lack what Linux has: each takes something away before zeroshelf is
imported, in a process of its own, as any start-up file of Python's could."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import zeroshelf
from zeroshelf.images import demo

JOB = """
import sys, warnings
warnings.simplefilter("error")
{lacks}
import zeroshelf
from zeroshelf.commands.cli import main

counts = zeroshelf.classify("P", ["cat", "boat"]).counts
assert counts["cat"] > 1 and counts["other"] > 1, counts
labels = ["P", "-l", "cat", "-l", "boat"]
for action in {actions}:
    assert main(["plan", *labels, "--to", "S", "--as", action, "-q"]) == 1
    assert main(["apply", "-y", "-q"]) == 0
    print(action, sum(len(files) for *_, files in os_walk("S")))
    assert main(["undo", "-y", "-q"]) == 0
assert main(["sort", *labels, "--to", "S", "-y", "-q"]) == 1
assert main(["undo", "-y", "-q"]) == 0
assert main(["sort", *labels, "--as", "tag", "-y", "-q"]) == 1
assert main(["untag", "P", "-y", "-q"]) == 0
assert main(["undo", "-y", "-q"]) == 0 and main(["undo", "-y", "-q"]) == 0
"""

GONE = """
import os
from os import walk as os_walk
for name in {names}:
    if hasattr(os, name): delattr(os, name)
for name in {modules}: sys.modules[name] = None
"""
NO_LINKS = """
import errno
def refuse(*_, **__): raise OSError(errno.EPERM, "Operation not permitted")
os.link = refuse
"""
NO_RIGHT = """
def refuse(*_, **__):
    error = OSError(22, "A required privilege is not held by the client")
    error.winerror = 1314
    raise error
os.symlink = refuse
"""
NO_FOLLOW = """
real_link = os.link
def link(source, target, *, follow_symlinks=True):
    if not follow_symlinks: raise NotImplementedError("link: follow_symlinks unavailable")
    real_link(source, target)
os.link = link
"""
LIBRARY_LESS = """
import ctypes
def refuse(*_, **__): raise OSError("no such library")
ctypes.CDLL = refuse
"""
CASELESS = """
import errno
def found(path):
    # the spelling on the disk of each part, as a file system without case finds it
    path = os.path.abspath(os.fspath(path))
    here = "/"
    for part in path.split("/")[1:]:
        try: names = real["listdir"](here)
        except OSError: return os.path.join(here, part)
        same = [name for name in names if name.lower() == part.lower()]
        here = os.path.join(here, part if part in names or not same else same[0])
    return here
real = {name: getattr(os, name) for name in (
    "listdir", "open", "stat", "lstat", "mkdir", "scandir", "rename", "replace", "unlink", "rmdir",
    "access", "utime", "chmod",
)}
home = os.getcwd()
def seen(path):
    return found(path) if isinstance(path, str) and os.path.abspath(path).startswith(home) else path
def caseless(name):
    def call(path=".", *rest, **more):
        if name in ("rename", "replace"):
            rest = (seen(rest[0]), *rest[1:])
        return real[name](seen(path), *rest, **more)
    return call
for name in real: setattr(os, name, caseless(name))
"""
WINDOWS_FOLDERS = """
import platformdirs, platformdirs.windows
platformdirs.PlatformDirs = platformdirs.windows.Windows
platformdirs.windows.get_win_folder = platformdirs.windows.get_win_folder_from_env_vars
os.environ["LOCALAPPDATA"] = os.path.join(os.getcwd(), "Local")
for name in ("RUNS", "CACHE", "MODELS"): os.environ.pop("ZEROSHELF_" + name, None)
"""

# os.uname and os.getuid stay: on Linux, numpy and platformdirs can't be imported without them.
ALL = [
    "sched_getaffinity", "process_cpu_count", "fork", "register_at_fork", "forkpty", "geteuid",
    "getgid", "getegid", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_PATH", "O_TMPFILE",
    "copy_file_range", "sendfile", "sysconf", "sysconf_names", "listxattr", "getxattr", "setxattr",
    "removexattr", "chown", "lchown", "fchown", "fchmod", "statvfs", "fstatvfs", "pathconf",
    "posix_fallocate", "posix_fadvise", "mkfifo", "killpg", "getpgid", "sync", "fdatasync",
]  # fmt: skip
MODULES = ["fcntl", "pwd", "grp", "resource", "termios"]


def lacking(names: list[str], modules: list[str], more: str = "") -> str:
    return GONE.format(names=names, modules=modules) + more


SYSTEMS = {
    "the four of the issue": lacking(["sched_getaffinity", "fork", "geteuid"], ["fcntl"]),
    "all that Linux has more": lacking(ALL, MODULES),
    "no exclusive rename and no hard links": lacking([], [], LIBRARY_LESS + NO_LINKS),
    "links that always follow": lacking([], [], LIBRARY_LESS + NO_FOLLOW),
    "no os.link at all": lacking(["link"], [], LIBRARY_LESS),
    "no right to make symbolic links": lacking([], [], NO_RIGHT),
    "names without case": lacking([], [], CASELESS),
    "folders as on Windows": lacking([], [], WINDOWS_FOLDERS),
    "all of it": lacking(ALL, MODULES, LIBRARY_LESS + NO_LINKS + NO_RIGHT + WINDOWS_FOLDERS),
}


def tree(root: Path) -> dict[str, tuple[bytes, int] | None]:
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        if path.is_file()
        else None
        for path in sorted(root.rglob("*"))
    }


@pytest.mark.skipif(sys.platform == "win32", reason="it lacks these by itself")
@pytest.mark.parametrize("lacks", SYSTEMS.values(), ids=SYSTEMS)
def test_the_main_job(tmp_path: Path, lacks: str) -> None:
    zeroshelf.demo_pictures(tmp_path / "all")
    (tmp_path / "P" / "deep").mkdir(parents=True)
    for number, path in enumerate(sorted((tmp_path / "all").glob("*.*"))):
        if path.name == demo.BROKEN or number < 10:
            path.rename(tmp_path / "P" / ("deep" if number % 3 else "") / path.name)
    before = tree(tmp_path / "P")
    actions = ["copy", "move"]
    if "1314" not in lacks:
        actions.append("symlink")
    code = JOB.format(lacks=lacks, actions=actions)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert done.returncode == 0, done.stderr
    count = len([name for name, what in before.items() if what]) - 1  # one is broken
    assert [line for line in done.stdout.splitlines() if line.split()[0] in actions] == [
        f"{action} {count}" for action in actions
    ]
    assert tree(tmp_path / "P") == before
    if "LOCALAPPDATA" in lacks:
        there = {path.name for path in (tmp_path / "Local" / "zeroshelf").iterdir()}
        assert there >= {"Cache", "runs"}
    assert not (tmp_path / "S").exists()
