"""A service file that starts a command when the user logs in, and again after a failure.

systemd (--user) on Linux, launchd on macOS, the Task Scheduler on Windows. The file is written for
this user alone, and nothing is started: `Service.start` has the commands for that.
"""

from __future__ import annotations

import os
import plistlib
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

LATER = 60  # seconds until a service that failed is started again


@dataclass(frozen=True, slots=True)
class Service:
    path: str  # of the file
    content: bytes
    start: tuple[str, ...]  # shell commands that start the service, now and at each log-in
    stop: tuple[str, ...]  # shell commands that stop it, and don't remove the file
    hint: str = ""  # what else there is to know

    @property
    def text(self) -> str:
        """The content, to be shown."""
        return self.content.decode("utf-16" if self.content[:2] == b"\xff\xfe" else "utf-8")


def service(
    name: str, about: str, command: Sequence[str], environment: Mapping[str, str]
) -> Service:
    """The service `name` (letters, digits, dashes) for this system. about: one line. environment:
    variables that the command needs, besides those of the user's session."""
    if sys.platform == "win32":
        return task(name, about, command, environment)
    if sys.platform == "darwin":
        return agent(name, command, environment)
    return unit(name, about, command, environment)


def unit(name: str, about: str, command: Sequence[str], environment: Mapping[str, str]) -> Service:
    """A unit of systemd's user manager."""
    lines = [
        "[Unit]",
        f"Description={_plain(about)}",
        "",
        "[Service]",
        f"ExecStart={' '.join(map(_quoted, command))}",
        *(f"Environment={_value(f'{key}={value}')}" for key, value in environment.items()),
        "Restart=on-failure",
        f"RestartSec={LATER}",
        "Nice=10",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Service(
        os.path.join(home, "systemd", "user", f"{name}.service"),
        ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"),
        ("systemctl --user daemon-reload", f"systemctl --user enable --now {name}.service"),
        (f"systemctl --user disable --now {name}.service",),
        "`loginctl enable-linger` keeps it at work while you are not logged in",
    )


def agent(name: str, command: Sequence[str], environment: Mapping[str, str]) -> Service:
    """A launch agent of macOS."""
    path = os.path.expanduser(f"~/Library/LaunchAgents/{name}.plist")
    about = {
        "Label": name,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": LATER,
        "ProcessType": "Background",
    }
    quoted = shlex.quote(path)
    return Service(
        path,
        plistlib.dumps(about, sort_keys=False),
        (f"launchctl bootstrap gui/$(id -u) {quoted}",),
        (f"launchctl bootout gui/$(id -u) {quoted}",),
        "Desktop, Documents, Downloads and Pictures need Full Disk Access for "
        f"{command[0]} (System Settings, Privacy & Security)",
    )


def task(name: str, about: str, command: Sequence[str], environment: Mapping[str, str]) -> Service:
    """A task of Windows' Task Scheduler. A task has no environment of its own: the command is
    started by cmd, which sets it."""
    program, words = command[0], list(command[1:])
    if environment:
        sets = "&& ".join(f'set "{key}={value}"' for key, value in environment.items())
        inner = f"{sets}&& {subprocess.list2cmdline(command)}"
        program, arguments = "cmd.exe", f'/d /s /c "{inner}"'
    else:
        arguments = subprocess.list2cmdline(words)
    xml = f"""<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>{escape(_plain(about))}</Description></RegistrationInfo>
  <Triggers><LogonTrigger><Enabled>true</Enabled></LogonTrigger></Triggers>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>7</Priority>
    <RestartOnFailure><Interval>PT1M</Interval><Count>999</Count></RestartOnFailure>
  </Settings>
  <Actions>
    <Exec><Command>{escape(program)}</Command><Arguments>{escape(arguments)}</Arguments></Exec>
  </Actions>
</Task>
"""
    home = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
    path = os.path.join(home, "zeroshelf", f"{name}.xml")
    return Service(
        path,
        b"\xff\xfe" + xml.encode("utf-16-le", "surrogatepass"),
        (f'schtasks /Create /TN {name} /XML "{path}"', f"schtasks /Run /TN {name}"),
        (f"schtasks /End /TN {name}", f"schtasks /Delete /TN {name} /F"),
    )


def _plain(text: str) -> str:
    """On one line, without what systemd would replace."""
    return " ".join(text.split()).replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a command in a unit file, where systemd replaces $ too."""
    return _value(word).replace("$", "$$")


def _value(text: str) -> str:
    """A value of a unit file: systemd replaces %, and reads escapes inside of quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped.replace("%", "%%")}"'
