"""What is done for GPUs, on a device that is called "cuda" and is this machine's processor."""

from __future__ import annotations

import ctypes
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.colours import paint
from tests.test_feeding import rows
from tests.waiting import HANG
from zeroshelf.commands.cli import main
from zeroshelf.models import half, ort, select, visual_tower
from zeroshelf.models.encoder import TwoTower
from zeroshelf.models.several import Several
from zeroshelf.system import machine, telemetry


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the devices on which graphs were opened. "cuda" is the processor here."""
    numbers: list[int] = []
    open_graph = ort.open_graph

    def noting(*given: Any, number: int = 0, **options: Any) -> ort.Graph:
        numbers.append(number)
        return open_graph(*given, number=0, **options)

    monkeypatch.setitem(ort.PROVIDERS, "cuda", "CPUExecutionProvider")
    monkeypatch.setattr(ort, "open_graph", noting)
    monkeypatch.setattr(machine, "cuda_devices", lambda: 1)
    return numbers


def model(tmp_path: Path, **settings: Any) -> Path:
    folder = tiny.immich(tmp_path)
    tiny.visual(folder / "visual" / "model.onnx")  # for any number of pictures
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder


def loaded(folder: Path, device: str | None = None) -> TwoTower:
    return select.load(select.describe(str(folder), folder), device=device)


def pixels(count: int = 5) -> np.ndarray[Any, np.dtype[np.float32]]:
    random = np.random.default_rng(1)
    return random.uniform(size=(count, 3, tiny.SIZE, tiny.SIZE)).astype(np.float32)


def test_the_processor_has_no_feeder(tmp_path: Path) -> None:
    encoder = loaded(model(tmp_path), "cpu")
    assert encoder.feeders == 0 and encoder.pixel_type is np.float32
    assert encoder.half_cosine is None


def test_one_gpu_has_one_feeder(tmp_path: Path, opened: list[int]) -> None:
    encoder = loaded(model(tmp_path), "cuda")
    assert encoder.feeders == 1 and encoder.device == "cuda" and opened == [0]


def test_every_gpu_opens_the_image_tower_and_is_fed(
    tmp_path: Path, opened: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cuda_devices", lambda: 3)
    encoder, given = loaded(model(tmp_path), "cuda"), pixels()
    assert encoder.feeders == 3 and opened == [0, 1, 2]
    alone = loaded(tmp_path, "cpu").embed_pictures(given)
    for _ in range(4):
        np.testing.assert_array_equal(encoder.embed_pictures(given), alone)


def test_a_gpu_that_fails_is_left_out(
    tmp_path: Path, opened: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cuda_devices", lambda: 2)
    open_graph, heard = ort.open_graph, list[str]()

    def second_fails(path: Path, device: str | None, *rest: Any, **options: Any) -> ort.Graph:
        return open_graph(path, "cpu" if options.get("number") else device, *rest, **options)

    monkeypatch.setattr(ort, "open_graph", second_fails)
    folder = model(tmp_path)
    encoder = select.load(select.describe("tiny", folder), device="cuda", warn=heard.append)
    assert encoder.feeders == 1 and encoder.device == "cuda"


def test_several_towers_work_at_once_and_each_for_one_caller() -> None:
    both, at_work, lock = threading.Barrier(2), list[str](), threading.Lock()

    def tower(name: str) -> Any:
        def embed(given: Any) -> Any:
            with lock:
                assert name not in at_work
                at_work.append(name)
            both.wait(HANG)
            with lock:
                at_work.remove(name)
            return given

        return embed

    several = Several([tower("first"), tower("second")])
    answers = list[Any]()
    threads = [
        threading.Thread(target=lambda i=i: answers.append(several(np.full(3, i)).sum()))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    assert sorted(answers) == [0, 3, 6, 9]


def test_a_tower_that_fails_is_free_again() -> None:
    def fails(given: Any) -> Any:
        raise RuntimeError("once more")

    several = Several([fails])
    for _ in range(2):
        with pytest.raises(RuntimeError):
            several(pixels(1))


def test_half_precision_is_computed_on_a_gpu_and_its_cosine_is_shown(
    tmp_path: Path, opened: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = model(tmp_path, precision="fp16")
    encoder, given = loaded(folder, "cuda"), pixels()
    assert encoder.pixel_type is np.float16 and opened == [0, 0]
    assert encoder.half_cosine is not None and 0.999 < encoder.half_cosine < 1.001
    exact = loaded(folder, "cpu")
    assert exact.pixel_type is np.float32 and exact.half_cosine is None
    np.testing.assert_allclose(
        encoder.embed_pictures(given.astype(np.float16)), exact.embed_pictures(given), atol=2e-3
    )
    assert encoder.embed_pictures(given).dtype == np.float32  # float32 is taken, too
    assert main(["models", "show", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert f"half on CUDA, cosine to float32 {encoder.half_cosine:.6f}" in shown


def test_a_model_that_was_not_asked_to_stays_in_float32(tmp_path: Path, opened: list[int]) -> None:
    encoder = loaded(model(tmp_path), "cuda")
    assert encoder.pixel_type is np.float32 and encoder.half_cosine is None


@pytest.mark.parametrize("least", [1.1, None], ids=["too far off", "not to be made"])
def test_half_precision_that_is_too_far_off_is_not_used(
    tmp_path: Path, opened: list[int], monkeypatch: pytest.MonkeyPatch, least: float | None
) -> None:
    if least is None:
        monkeypatch.setattr(half, "computing", lambda path: b"no graph")
    else:
        monkeypatch.setattr(visual_tower, "LEAST_HALF", least)
    encoder = loaded(model(tmp_path, precision="fp16"), "cuda")
    with pytest.warns(RuntimeWarning, match="computes in float32 on cuda"):
        assert encoder.pixel_type is np.float32 and encoder.half_cosine is None
    assert encoder.embed_pictures(pixels()).shape == (5, tiny.DIM)


def test_a_file_that_is_no_graph_has_no_half(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    assert half.computing(tmp_path / "model.onnx") is None


def test_gpus_are_counted_by_their_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    class Driver:
        def cuInit(self, flags: int) -> int:  # noqa: N802  # the driver's name
            return 0

        def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
            count._obj.value = 4
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert machine.cuda_devices() == 4

    def missing(name: str) -> Any:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert machine.cuda_devices() == 1


def test_embed_computes_in_half_and_says_so(
    tmp_path: Path, opened: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The pixels are cast once, by the threads that decode."""
    folder = model(tmp_path / "model", precision="fp16")
    for number in range(5):
        paint(tmp_path / "P" / f"{number}.png", (50 * number, 90, 10))
    asked = ["embed", str(tmp_path / "P"), "--model", str(folder), "--device"]
    assert main([*asked, "cuda", "--out", str(tmp_path / "half")]) == 0
    said = capsys.readouterr().out
    assert "on CUDA in half precision, cosine to float32 " in said
    assert main([*asked, "cpu", "--out", str(tmp_path / "whole")]) == 0
    said = capsys.readouterr().out
    assert "on CPU" in said and "half precision" not in said
    half_rows, whole_rows = rows(tmp_path / "half"), rows(tmp_path / "whole")
    for name, row in whole_rows.items():
        pair = np.array([row["embedding"], half_rows[name]["embedding"]], np.float64)
        assert pair[0] @ pair[1] > 0.999


def test_a_device_without_half_precision_is_told(tmp_path: Path, opened: list[int]) -> None:
    heard = list[str]()
    folder = model(tmp_path, precision="fp16")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(half, "computing", lambda path: None)
        encoder = select.load(select.describe("tiny", folder), device="cuda", warn=heard.append)
        assert encoder.open() == "cuda" and encoder.half_cosine is None
    assert len(heard) == 1 and "tiny computes in float32 on cuda" in heard[0]


def test_no_warning_of_onnx_runtime_is_on_the_screen(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of a weight that no node uses, as many exports have: ONNX Runtime tells of it by itself."""
    import onnx
    from onnx import numpy_helper

    folder = model(tmp_path)
    path = folder / "visual" / "model.onnx"
    graph = onnx.load(path)
    graph.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "unused"))
    onnx.save(graph, path)
    ort_itself = telemetry.onnxruntime()
    ort_itself.set_default_logger_severity(2)  # its own default
    ort_itself.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert "unused" in capfd.readouterr().err
    loaded(folder, "cpu").embed_pictures(pixels())
    assert capfd.readouterr().err == ""
