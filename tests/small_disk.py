"""A file system of its own, that can be full or turn read-only; mounting one needs root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(disk: Path, *options: str) -> Iterator[Path]:
    """`disk`, a folder that is made where it is missing, as a file system in memory with these
    options of tmpfs ("size=64k"). The test is skipped, and says so, where it can't be mounted."""
    disk.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", *(f"-o{option}" for option in options), "none", str(disk)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("NOT TESTED: mounting a small disk needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)
