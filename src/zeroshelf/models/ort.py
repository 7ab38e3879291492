"""The only user of ONNX Runtime: a graph file becomes something that runs arrays.

onnxruntime takes a third of a second to import, so it is imported when the first graph is opened.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.errors import UserError
from zeroshelf.models import onnx_parts
from zeroshelf.system.telemetry import onnxruntime

Array = npt.NDArray[Any]
Warn = Callable[[str], None]

MATMUL = (
    Path(__file__).parent.parent / "data" / "matmul.onnx"
)  # one product of two matrices, to time

# Every device, by the name that people give it, with the name of ONNX Runtime's provider for it.
PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt-rtx": "NvTensorRTRTXExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
# Devices beside the processors, which one thread each feeds (embeddings/feeding.py).
GPUS = ("cuda", "tensorrt-rtx", "migraphx", "directml", "webgpu")
# Tried in this order where no device is asked for. The others run only when they are named.
AUTOMATIC = ("cuda", "tensorrt-rtx", "migraphx", "directml", "openvino", "cpu")
# Packages that stand beside onnxruntime and bring a provider, as plug-ins.
PLUGINS = ("onnxruntime_ep_openvino", "onnxruntime_ep_nv_tensorrt_rtx", "onnxruntime_ep_webgpu")
LARGE = 32_000_000  # bytes of a graph, whose weights are then read where they are
SPINNING = "session.intra_op.allow_spinning"  # threads that wait for each other by turning
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
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


def open_graph(
    path: Path,
    device: str | None,
    threads: int,
    warn: Warn,
    *,
    optimise: bool = True,
    arena: bool = False,
    rewritten: bytes | None = None,
    number: int = 0,
) -> Graph:
    """Open `path` on `device` ("cuda", "cpu", ...; None: the best that this machine has).

    `threads` are those that one call of `run` may use on the CPU. A device that is there but does
    not work is told to `warn`, and the graph runs on the next; one that was asked for and that the
    installed ONNX Runtime does not know raises `UserError`. Optimising takes a quarter of a second:
    too long for a handful of texts. With `arena` the CPU's memory is kept between calls: a tenth
    less work where calls are many and small. `rewritten` is opened in place of the file, and finds
    its weights where the file does. `number`: of the GPU, where several work with CUDA.
    """
    failure = ""
    for name in _wanted(device, devices()):
        try:
            session = _session(path, name, threads, optimise, arena, rewritten, number)
        except Exception as error:  # onnxruntime raises classes of its own, one per status
            failure = str(error).splitlines()[0]
        else:
            if PROVIDERS[name] in session.get_providers():
                return Graph(path, session, name)
            # ONNX Runtime itself fell back, without a word
            failure = "its libraries or its driver are missing"
        if name != "cpu":
            warn(f"the device {name} can't be used: {failure}; a slower device is used")
    raise UserError(f"{path} can't be opened as an ONNX model: {failure}")


def devices() -> tuple[str, ...]:
    """The devices that the installed ONNX Runtime knows, in the order of `PROVIDERS`."""
    ort = onnxruntime()

    _register_plugins()
    available = ort.get_available_providers()
    return tuple(name for name, provider in PROVIDERS.items() if provider in available)


def check_device(device: str) -> None:
    """Raise `UserError` where the installed ONNX Runtime has no such device, before any graph is
    opened: a run whose embeddings are all cached opens none."""
    _wanted(device, devices())


def hidden_package() -> str | None:
    """The command to run where onnxruntime has overwritten another build; None where it hasn't.

    The builds share one folder, and pip can't replace one by the other: the last one stays.
    """
    from importlib import metadata  # imports a parser of e-mail headers

    for package, name in (("onnxruntime-gpu", "cuda"), ("onnxruntime-directml", "directml")):
        with contextlib.suppress(metadata.PackageNotFoundError):
            metadata.version(package)
            if name not in devices():
                return (
                    f"{package} is installed, but overwritten by onnxruntime: "
                    f"pip install --force-reinstall --no-deps {package}"
                )
    return None


def _session(
    path: Path,
    device: str,
    threads: int,
    optimise: bool,
    arena: bool,
    rewritten: bytes | None,
    number: int,
) -> Any:
    ort = onnxruntime()

    ort.set_default_logger_severity(3)  # providers and plug-ins log through this, not the session
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry(SPINNING, "0")
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3  # errors only: warnings speak of nodes, which no user can mend
    options.enable_cpu_mem_arena = arena  # without: half the memory for pictures, as fast
    model: str | bytes = os.fspath(path)
    if rewritten is not None:
        model = rewritten
        options.add_session_config_entry(WEIGHTS_FOLDER, os.fspath(path.parent))
    elif device == "cpu" and path.stat().st_size >= LARGE:
        path = path.resolve()  # it refuses weights behind a link
        model = onnx_parts.in_place(path) or model
        options.add_session_config_entry(WEIGHTS_FOLDER, os.fspath(path.parent))
    plugged = [found for found in ort.get_ep_devices() if found.ep_name == PROVIDERS[device]]
    if plugged and device != "cpu":
        options.add_provider_for_devices(plugged[number : number + 1], {})
        return ort.InferenceSession(model, options)
    if device == "cuda":
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it doesn't find
            ort.preload_dlls()  # those of the nvidia-* packages, where they are installed
    own = {"device_id": str(number)} if device == "cuda" else {}
    providers = [(PROVIDERS[device], own)] + ([(PROVIDERS["cpu"], {})] if device != "cpu" else [])
    return ort.InferenceSession(model, options, providers=providers)


@cache
def _register_plugins() -> None:
    ort = onnxruntime()

    for module in PLUGINS:
        if find_spec(module) is not None:
            plugin = import_module(module)
            ort.register_execution_provider_library(module, plugin.get_library_path())


def gflops() -> float:
    """How many 10^9 operations a second one processor does here, from a measurement of 50 ms.

    Of the thread's own time, not of the clock: what else the machine is doing changes little.
    """
    ort = onnxruntime()

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


def _wanted(device: str | None, here: Sequence[str]) -> list[str]:
    if device is None:
        return [name for name in AUTOMATIC if name in here]
    if device not in PROVIDERS:
        raise UserError(f"unknown device {device!r}: one of {', '.join(PROVIDERS)}")
    if device not in here:
        advice = hidden_package() or f'pip install "zeroshelf[{device}]"'
        raise UserError(
            f"the installed ONNX Runtime has no {device}, only {', '.join(here)}; {advice}"
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
