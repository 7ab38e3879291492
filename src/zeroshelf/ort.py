"""The only importer of ONNX Runtime: a graph file becomes something that runs arrays.

onnxruntime takes a third of a second to import, so it is imported when the first graph is opened.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.errors import UserError

Array = npt.NDArray[Any]
Warn = Callable[[str], None]

MATMUL = Path(__file__).parent / "data" / "matmul.onnx"  # one product of two matrices, to time

# Fastest first: the order in which a device is chosen where none is asked for.
PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "rocm": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


class OutOfMemoryError(Exception):
    """The device's memory did not hold the batch."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph. A dimension that may vary is None."""

    name: str
    dtype: type[np.generic]
    shape: tuple[int | None, ...]


class Graph:
    """An opened graph. `run` may be called from several threads at once."""

    def __init__(self, path: Path, session: Any, device: str) -> None:
        self.path = path
        self.device = device
        self._session = session
        self.inputs = tuple(_port(path, port) for port in session.get_inputs())
        self.outputs = tuple(_port(path, port) for port in session.get_outputs())

    def run(self, feeds: Mapping[str, Array], output: str) -> Array:
        try:
            result: Array = self._session.run([output], dict(feeds))[0]
        except Exception as error:  # onnxruntime raises classes of its own, one per status
            if isinstance(error, MemoryError) or _tells_of_memory(str(error)):
                raise OutOfMemoryError(str(error).splitlines()[0]) from error
            raise
        return result


def open_graph(path: Path, device: str | None, threads: int, warn: Warn) -> Graph:
    """Open `path` on `device` ("cuda", "cpu", ...; None: the best that this machine has).

    `threads` are those that one call of `run` may use on the CPU. A device that was found but does
    not work is told to `warn`, and the graph runs on the CPU; one that was asked for and isn't
    there raises `UserError`.
    """
    import onnxruntime as ort  # type: ignore[import-untyped]

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: warnings speak of nodes, which no user can mend
    options.enable_cpu_mem_arena = False  # half the memory for the same speed
    last_failure = ""
    for name in _wanted(device, ort.get_available_providers()):
        providers = [PROVIDERS[name]] + ([PROVIDERS["cpu"]] if name != "cpu" else [])
        try:
            session = ort.InferenceSession(os.fspath(path), options, providers=providers)
        except Exception as error:
            last_failure = str(error).splitlines()[0]
            if name == "cpu":
                raise UserError(
                    f"{path} can't be opened as an ONNX model: {last_failure}"
                ) from error
            warn(f"{name} does not work here ({last_failure}); trying the next device")
            continue
        if PROVIDERS[name] in session.get_providers():  # ONNX Runtime falls back without a word
            return Graph(path, session, name)
        warn(f"{name} was found but could not be started, so this runs on the CPU, slower")
        return Graph(path, session, "cpu")
    raise UserError(f"{path} can't be opened on {device}: {last_failure}")


def devices() -> tuple[str, ...]:
    """The devices that the installed ONNX Runtime knows, fastest first."""
    import onnxruntime as ort

    return tuple(_wanted(None, ort.get_available_providers()))


def gflops() -> float:
    """How many 10^9 operations a second one processor does here, from a measurement of 50 ms.

    Of the thread's own time, not of the clock: what else the machine is doing changes little.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(os.fspath(MATMUL), options, providers=[PROVIDERS["cpu"]])
    square = np.ones((512, 512), np.float32)
    best = float("inf")
    for _ in range(20):
        started = time.thread_time()
        session.run(None, {"a": square, "b": square})
        best = min(best, time.thread_time() - started)
    return float(2 * 512**3 / best / 1e9)


def _wanted(device: str | None, available: Sequence[str]) -> list[str]:
    here = [name for name, provider in PROVIDERS.items() if provider in available]
    if device is None:
        return here
    if device not in PROVIDERS:
        raise UserError(f"unknown device {device!r}: one of {', '.join(PROVIDERS)}")
    if device not in here:
        raise UserError(
            f"the installed ONNX Runtime has no {device} (it has {', '.join(here)}); "
            f"see `zeroshelf models` in the documentation for the extras"
        )
    return [device] if device == "cpu" else [device, "cpu"]


def _tells_of_memory(message: str) -> bool:
    message = message.lower()
    signs = ("out of memory", "bad_alloc", "failed to allocate", "cudaerrormemoryallocation")
    return any(sign in message for sign in signs)


def _port(path: Path, port: Any) -> Port:
    if port.type not in DTYPES:
        raise UserError(f"{path}: {port.name} has the type {port.type}, which is not supported")
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in port.shape)
    return Port(port.name, DTYPES[port.type], shape)
