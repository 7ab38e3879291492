"""A graph that computes in half precision, made of one that computes in float32.

For accelerators, whose units for half precision are several times as fast. It needs onnx, which
comes with them; the conversion itself is ONNX Runtime's own.
"""

from __future__ import annotations

import logging
from pathlib import Path

from zeroshelf.system.telemetry import onnxruntime


def computing(path: Path) -> bytes | None:
    """The graph in `path` with all numbers in half precision, its input and output too, serialised
    with its weights. None where that can't be done: onnx isn't installed, the graph has operators
    that the conversion doesn't know, or it is larger than the 2 GB of a serialised graph."""
    try:
        import onnx

        float16 = onnxruntime("transformers.float16")
    except ImportError:
        return None
    log = logging.getLogger(float16.__name__)
    level = log.level
    log.setLevel(logging.ERROR)  # it tells of each weight that is rounded to nought
    try:
        made = float16.convert_float_to_float16(onnx.load(path), keep_io_types=False)
        return bytes(made.SerializeToString())
    except Exception:  # a graph of another kind: both packages raise classes of their own
        return None
    finally:
        log.setLevel(level)
