"""The machine: which system it runs, its processors, memory, fonts and network ports."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

WINDOWS = sys.platform == "win32"
MACOS = sys.platform == "darwin"
_USUAL_MEMORY = 8_000_000_000  # bytes, of an ordinary laptop: where the system does not tell


def processors() -> int:
    """The number of processors that this process may use, at least 1: in a container often fewer
    than the machine has. Where the system does not tell, all of the machine's."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    if affinity is not None:
        with contextlib.suppress(OSError):
            return max(1, len(affinity(0)))
    count: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1


def memory() -> int:
    """The machine's memory in bytes; `_USUAL_MEMORY` where the system does not tell."""
    if sys.platform == "win32":
        return _windows_memory() or _USUAL_MEMORY
    sysconf = getattr(os, "sysconf", None)
    if sysconf is not None:
        with contextlib.suppress(ValueError, OSError):
            found = int(sysconf("SC_PHYS_PAGES")) * int(sysconf("SC_PAGE_SIZE"))
            if found > 0:
                return found
    return _USUAL_MEMORY


def cuda_devices() -> int:
    """The number of NVIDIA GPUs that this process may use (CUDA_VISIBLE_DEVICES), by their driver;
    1 where the driver doesn't tell."""
    try:
        driver: Any = ctypes.CDLL("nvcuda.dll" if WINDOWS else "libcuda.so.1")
        found = ctypes.c_int(0)
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(found)) == 0:
            return max(1, found.value)
    except (OSError, AttributeError):  # no driver, or none with these functions
        pass
    return 1


def font_folders() -> list[str]:
    """The folders in which the system and the user keep fonts; any of them may be missing."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        own = os.path.join(os.environ.get("LOCALAPPDATA", home), "Microsoft", "Windows", "Fonts")
        return [os.path.join(os.environ.get("WINDIR", r"C:\Windows"), "Fonts"), own]
    if sys.platform == "darwin":
        return ["/System/Library/Fonts", "/Library/Fonts", f"{home}/Library/Fonts"]
    return ["/usr/share/fonts", "/usr/local/share/fonts", f"{home}/.local/share/fonts"]


def exclusive_port(listening: socket.socket) -> None:
    """Let no other program listen on the address of `listening` too. Call before `bind`.

    On Linux and macOS SO_REUSEADDR takes over an address that a closed program left a minute ago,
    and nothing more. On Windows it would let another program take a live address over;
    SO_EXCLUSIVEADDRUSE forbids that.
    """
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
    option = socket.SO_REUSEADDR if exclusive is None else exclusive
    listening.setsockopt(socket.SOL_SOCKET, option, 1)


def _windows_memory() -> int | None:
    """GlobalMemoryStatusEx's ullTotalPhys."""
    if sys.platform == "win32":

        class Status(ctypes.Structure):
            _fields_ = (
                ("length", ctypes.c_ulong),
                ("load", ctypes.c_ulong),
                *((name, ctypes.c_ulonglong) for name in "abcdefg"),
            )

        status = Status()
        status.length = ctypes.sizeof(status)
        with contextlib.suppress(OSError, AttributeError):
            if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
                return int(status.a)
    return None
