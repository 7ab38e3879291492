"""No telemetry: the one place through which onnxruntime and huggingface_hub are imported.

ONNX Runtime 1.29 and later queues a usage event when it is imported, keeps an id of the machine
below the user's cache folder, and sends both to its maker about ten seconds later.
ORT_DISABLE_TELEMETRY=1 in the environment stops all of it, if it is set before the import;
`disable_telemetry_events` afterwards stops later events only. The package sets the variables when
it is imported, so they hold for every library that is imported after it and for every child
process. docs/files.md lists what was looked at in every other dependency.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from importlib import import_module
from typing import Any

SWITCHES = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")
_ON = ("1", "true", "yes", "on")  # the values that both libraries read as true


def switch_off() -> None:
    """Set `SWITCHES` in this process's environment, whatever they were: children inherit them."""
    for name in SWITCHES:
        os.environ[name] = "1"


def onnxruntime(part: str = "") -> Any:
    """The module onnxruntime, or its submodule `part` ("quantization"), without its telemetry.

    Where a program imported onnxruntime before zeroshelf and with telemetry on, that event is
    already queued and can't be taken back: a `RuntimeWarning` says so once, and later events are
    switched off. Raises ImportError where it isn't installed.
    """
    switch_off()
    module = import_module("onnxruntime")
    with contextlib.suppress(AttributeError):  # a build without that function sends nothing
        module.disable_telemetry_events()
    if _TOO_LATE and module is _TOO_LATE.pop():
        warnings.warn(
            "onnxruntime was imported before zeroshelf and reports its start to its maker: import "
            "zeroshelf first, or set ORT_DISABLE_TELEMETRY=1",
            RuntimeWarning,
            stacklevel=2,
        )
    return import_module(f"onnxruntime.{part}") if part else module


def huggingface_hub(part: str = "") -> Any:
    """The module huggingface_hub, or its submodule `part`, without its telemetry. Only `zeroshelf
    models get` and the export call it. Beside them only `zeroshelf immich` uses the network."""
    switch_off()
    constants: Any = import_module("huggingface_hub.constants")
    constants.HF_HUB_DISABLE_TELEMETRY = True  # it read the environment when it was imported
    return import_module(f"huggingface_hub.{part}" if part else "huggingface_hub")


def ray(part: str = "") -> Any:
    """The module ray, or its submodule `part`, without its usage statistics, which the head node
    of a cluster sends to Ray's makers. Raises ImportError where it isn't installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    return import_module(f"ray.{part}" if part else "ray")


# onnxruntime, where it was imported with its telemetry on before this module
_TOO_LATE: list[object] = (
    [sys.modules["onnxruntime"]]
    if "onnxruntime" in sys.modules
    and os.environ.get("ORT_DISABLE_TELEMETRY", "").lower() not in _ON
    else []
)
