"""What a process asks of the kernel, by strace: addresses it talks to, names it looks up, files it
makes or changes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import HANG

_CALLS = "%network,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat"
_PID = re.compile(r"^(\[pid +)?\d+\]? +")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_TALKS = re.compile(r"^(connect|sendto|sendmsg|sendmmsg|bind)\(")
_ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
_MAKES = re.compile(r"^(mkdir|mkdirat|creat|rename|renameat|renameat2|link|linkat)\(")
DEAD = 9  # a port without a proxy: what a library sends home goes there, not out


@dataclass
class Traced:
    """A process under strace. `log` grows while it runs."""

    process: subprocess.Popen[str]
    log: Path

    def network(self) -> list[str]:
        """The calls that reach another machine, or look a name up to do so."""
        found = []
        for call in self._calls():
            address = _ADDRESS.search(call)
            port = _PORT.search(call)
            if _TALKS.match(call) and address:
                loopback = (address[1] or address[2]).startswith(("127.", "::1", "::ffff:127."))
                if not loopback or (port and int(port[1]) == DEAD):
                    found.append(call)
            elif re.search("nscd|systemd/resolve|/etc/resolv.conf", call):
                found.append(call)
        return found

    def written(self) -> set[str]:
        """Paths of files and folders that were made, opened for writing or renamed."""
        found: set[str] = set()
        for call in self._calls():
            if " = -1 " in call:
                continue
            opened = call.startswith(("openat(", "open(")) and re.search(
                r"O_(WRONLY|RDWR|CREAT|TMPFILE)", call
            )
            if opened or _MAKES.match(call):
                found |= {os.path.normpath(name) for name in _QUOTED.findall(call)}
        return {path for path in found if os.path.isabs(path)}

    def _calls(self) -> list[str]:
        """Whole calls; one that another thread's call cut in two is put together again."""
        calls: list[str] = []
        begun: dict[str, str] = {}
        for line in self.log.read_text(errors="replace").splitlines():
            number = line.split(" ", 1)[0]
            text = _PID.sub("", line)
            if text.endswith("<unfinished ...>"):
                begun[number] = text.removesuffix("<unfinished ...>")
            elif text.startswith("<... "):
                calls.append(begun.pop(number, "") + text.partition("resumed>")[2])
            else:
                calls.append(text)
        return calls + list(begun.values())

    def end(self) -> str:
        """Close its standard input and wait; what it printed."""
        out, _ = self.process.communicate(timeout=HANG)
        return out


def trace(command: Sequence[str], log: Path, environment: Mapping[str, str], cwd: Path) -> Traced:
    """Start `command` under strace, its children too. Skips the test where strace can't work."""
    _need_strace()
    process = subprocess.Popen(
        ["strace", "-f", "-q", "-s", "4096", "-o", str(log), "-e", f"trace={_CALLS}", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(environment),
        cwd=cwd,
    )
    return Traced(process, log)


def _need_strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("STRACE IS MISSING: that nothing calls home is not tested here")
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("STRACE MAY NOT TRACE HERE: that nothing calls home is not tested")
