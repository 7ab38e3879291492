"""Skip conditions for tests of what not every system has, and names that every system takes."""

from __future__ import annotations

import os
import re
import sys
import tempfile

import pytest

LINUX = sys.platform.startswith("linux")
WINDOWS = sys.platform == "win32"


def _can_link() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.symlink("nowhere", os.path.join(folder, "link"))
        except OSError:
            return False
    return True


posix = pytest.mark.skipif(WINDOWS, reason="modes, owners and FIFOs as on Linux and macOS")
linux_names = pytest.mark.skipif(not LINUX, reason="any bytes are a file name on Linux alone")
links = pytest.mark.skipif(not _can_link(), reason="this account may make no symbolic links")


def name(wanted: bytes) -> bytes:
    """`wanted`; where the system takes no such name, one that comes near it."""
    if LINUX:
        return wanted
    text = wanted.decode("utf-8", "replace").replace("\ufffd", "_")
    return (re.sub(r'[<>:"|?*\\\x00-\x1f]', "_", text) if WINDOWS else text).encode()
