"""Embedding on a device beside the processors, simulated by encoders that wait as a device does:
without the interpreter's lock. No clock is read: what overlaps is counted."""

from __future__ import annotations

import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import zeroshelf as zs
from tests.colours import BLUE, GREEN, RED, ColourEncoder, paint
from tests.waiting import HANG, until
from zeroshelf.datasets import parts
from zeroshelf.datasets.places import place
from zeroshelf.embeddings import compute, feeding
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images import decode, scan
from zeroshelf.records import Embeddings, Encoder, Pixels, Vectors


class Device(ColourEncoder):
    """An encoder on `feeders` devices. What a test does in `compute` delays its answers."""

    def __init__(self, feeders: int = 1, batch_size: int = 8) -> None:
        super().__init__(batch_size=batch_size)
        self.feeders = feeders
        self.pixel_type: npt.DTypeLike = np.float32
        self.lock = threading.Lock()
        self.at_work = self.most_at_work = 0
        self.threads: set[str] = set()
        self.batches: list[int] = []
        self.types: set[str] = set()

    def embed_pictures(self, pixels: Pixels) -> Vectors:
        with self.lock:
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
            self.threads.add(threading.current_thread().name)
            self.batches.append(len(pixels))
            self.types.add(pixels.dtype.name)
        self.compute()
        with self.lock:
            self.at_work -= 1
            return super().embed_pictures(pixels.astype(np.float32))

    def compute(self) -> None:
        """Called for each batch, before it is answered."""


class TwoDevices(Device):
    """Two devices work at once: neither answers before both have a batch."""

    def __init__(self) -> None:
        super().__init__(feeders=2, batch_size=5)
        self.both = threading.Barrier(2)

    def compute(self) -> None:
        self.both.wait(HANG)


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Thread -> how many files it decoded."""
    found: dict[str, int] = {}
    frames = decode.frames

    def counted(data: decode.Content, side: int, *, suffix: str = "") -> Iterator[decode.Decoded]:
        name = threading.current_thread().name
        found[name] = found.get(name, 0) + 1
        return frames(data, side, suffix=suffix)

    monkeypatch.setattr(decode, "frames", counted)
    return found


def photos(tmp_path: Path, count: int) -> Path:
    for number in range(count):
        colour = (RED, GREEN, BLUE)[number % 3]
        paint(tmp_path / "photos" / f"{number:03}.png", colour, (20 + number % 7, 9 + number // 7))
    return tmp_path / "photos"


def embedded(folder: Path, encoder: ColourEncoder, cache: Path, workers: int = 3) -> Embeddings:
    with EmbeddingCache.open(str(cache)) as store:
        return compute.embed(scan.scan(str(folder)), encoder, store, workers=workers)


def test_a_device_is_fed_by_one_thread_that_never_decodes(
    tmp_path: Path, decoders: dict[str, int]
) -> None:
    device = Device()
    found = embedded(photos(tmp_path, 60), device, tmp_path / "cache")
    assert len(found) == 60 and len(device.threads) == 1 and device.most_at_work == 1
    assert device.threads.isdisjoint(decoders) and sum(decoders.values()) == 60
    assert threading.current_thread().name not in decoders
    assert device.batches == [8] * 7 + [4]  # full ones, but for the last


def test_the_answers_are_those_of_the_processors(tmp_path: Path) -> None:
    folder = photos(tmp_path, 40)
    (folder / "broken.png").write_bytes((folder / "003.png").read_bytes()[:40])
    (folder / "same.png").write_bytes((folder / "004.png").read_bytes())
    apart = embedded(folder, Device(), tmp_path / "one")
    here = embedded(folder, ColourEncoder(), tmp_path / "two")
    assert apart.digests == here.digests and (apart.vectors == here.vectors).all()
    assert apart.skipped == here.skipped and len(apart.skipped) == 1


def test_decoding_goes_on_while_the_device_computes(
    tmp_path: Path, decoders: dict[str, int]
) -> None:
    """A batch is not answered before twice as many files are decoded as the device was given."""

    class Slow(Device):
        def compute(self) -> None:
            wanted = min(60, sum(self.batches) + self.batch_size)
            until(lambda: sum(decoders.values()) >= wanted)

    assert len(embedded(photos(tmp_path, 60), Slow(), tmp_path / "cache")) == 60


def test_the_device_computes_while_files_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last files are decoded only once the device has answered for the first."""
    device, frames, begun = Device(), decode.frames, threading.Semaphore(0)
    started = 0

    def held(data: decode.Content, side: int, *, suffix: str = "") -> Iterator[decode.Decoded]:
        nonlocal started
        with device.lock:
            started += 1
            late = started > 50
        if late:
            assert begun.acquire(timeout=HANG)
            begun.release()
        return frames(data, side, suffix=suffix)

    def compute() -> None:
        begun.release()

    monkeypatch.setattr(decode, "frames", held)
    monkeypatch.setattr(device, "compute", compute)
    assert len(embedded(photos(tmp_path, 60), device, tmp_path / "cache")) == 60


def test_what_waits_for_a_slow_device_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoders: dict[str, int]
) -> None:
    """While the device stands still, decoding stops after a few batches."""
    monkeypatch.setattr(compute, "CHUNK", 2)
    most, still = feeding.AHEAD * 4 + feeding.CHUNKS * 3 * 2 + 4, threading.Event()

    made: list[feeding.Feeding] = []

    class Kept(feeding.Feeding):
        def __init__(self, encoder: Encoder, decoders: int) -> None:
            super().__init__(encoder, decoders)
            made.append(self)

    monkeypatch.setattr(feeding, "Feeding", Kept)

    class Stuck(Device):
        def compute(self) -> None:
            assert still.wait(HANG)

    device = Stuck(batch_size=4)
    result: list[Embeddings] = []
    folder = photos(tmp_path, 120)
    thread = threading.Thread(
        target=lambda: result.append(embedded(folder, device, tmp_path / "cache"))
    )
    thread.start()
    # enough waits for the device, and nothing is decoded: so it stays until the device answers
    until(lambda: made and len(made[0]._feeding) >= feeding.AHEAD and not made[0]._decoding)
    now = sum(decoders.values())
    still.set()
    thread.join(HANG)
    assert now <= most and len(result[0]) == 120


def test_every_device_has_a_thread_of_its_own(tmp_path: Path) -> None:
    device = TwoDevices()
    assert len(embedded(photos(tmp_path, 40), device, tmp_path / "cache")) == 40
    assert len(device.threads) == 2 and device.most_at_work == 2


def test_pixels_come_in_the_type_that_the_device_takes(tmp_path: Path) -> None:
    device = Device()
    device.pixel_type = np.float16
    found = embedded(photos(tmp_path, 9), device, tmp_path / "cache")
    assert device.types == {"float16"} and len(found) == 9


def test_an_error_of_the_device_ends_the_run(tmp_path: Path) -> None:
    class Failing(Device):
        def compute(self) -> None:
            raise RuntimeError("the device is gone")

    with pytest.raises(RuntimeError, match="the device is gone"):
        embedded(photos(tmp_path, 60), Failing(), tmp_path / "cache")


def test_an_interrupted_run_stops_its_threads(tmp_path: Path) -> None:
    def stop(_what: str, done: int, _total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    device = Device()
    with EmbeddingCache.open(str(tmp_path / "cache")) as store:
        folder = scan.scan(str(photos(tmp_path, 60)))
        with pytest.raises(KeyboardInterrupt):
            compute.embed(folder, device, store, workers=2, progress=stop)
    for thread in threading.enumerate():
        if thread.name.startswith(("decode", "feed")):
            thread.join(HANG)
            assert not thread.is_alive()


def test_without_a_device_every_thread_decodes_and_embeds(
    tmp_path: Path, decoders: dict[str, int]
) -> None:
    device = Device(feeders=0, batch_size=2)
    assert len(embedded(photos(tmp_path, 30), device, tmp_path / "cache")) == 30
    assert device.threads == set(decoders)


# --- the command embed --------------------------------------------------------------------------


def rows(out: Path) -> dict[str, dict[str, Any]]:
    """File's name -> its row; fails where one is there twice."""
    found = [one for part in parts.read_parts(place(str(out))) for one in part.to_pylist()]
    named = {one["uri"].rpartition("/")[2]: one for one in found}
    assert len(named) == len(found)
    return named


def test_embed_feeds_a_device_by_one_thread_that_never_decodes(
    tmp_path: Path, decoders: dict[str, int]
) -> None:
    """Through the ends of parts, too: the device gets full batches."""
    folder, device = photos(tmp_path, 60), Device()
    (folder / "broken.png").write_bytes((folder / "003.png").read_bytes()[:40])
    told: list[int] = []
    made = zs.embed_dataset(
        folder, tmp_path / "out", encoder=device, workers=3, rows=10,
        progress=lambda stage, done, total: told.append(done),
    )  # fmt: skip
    assert (made.embedded, made.failed, len(made)) == (61, 1, 61)
    assert len(device.threads) == 1 and device.most_at_work == 1
    assert device.threads.isdisjoint(decoders) and len(decoders) <= 3
    assert device.batches == [8] * 7 + [4] and told[-1] == 61 and len(told) > 5
    zs.embed_dataset(folder, tmp_path / "here", encoder=ColourEncoder(), workers=3)
    here, there = rows(tmp_path / "here"), rows(tmp_path / "out")
    assert here == there and there["broken.png"]["error"] and there["broken.png"]["digest"]
    assert zs.embed_dataset(folder, tmp_path / "out", encoder=Device()).embedded == 0


def test_embed_decodes_on_while_the_device_computes(
    tmp_path: Path, decoders: dict[str, int]
) -> None:
    class Slow(Device):
        def compute(self) -> None:
            wanted = min(60, sum(self.batches) + self.batch_size)
            until(lambda: sum(decoders.values()) >= wanted)

    made = zs.embed_dataset(photos(tmp_path, 60), tmp_path / "out", encoder=Slow(), workers=2)
    assert made.embedded == 60


def test_embed_keeps_several_devices_busy(tmp_path: Path) -> None:
    device = TwoDevices()
    device.pixel_type = np.float16
    made = zs.embed_dataset(photos(tmp_path, 40), tmp_path / "out", encoder=device, workers=2)
    assert made.embedded == 40 and device.types == {"float16"} and len(device.threads) == 2


def test_tars_are_fed_too(tmp_path: Path) -> None:
    folder = photos(tmp_path, 21)
    for number in range(3):
        with tarfile.open(tmp_path / f"{number}.tar", "w") as tar:
            for file in sorted(folder.iterdir())[7 * number : 7 * number + 7]:
                tar.add(file, file.name)
    device = Device(batch_size=4)
    source, out = f"{tmp_path}/{{0..2}}.tar", tmp_path / "out"
    assert zs.embed_dataset(source, out, encoder=device, workers=2, rows=3).embedded == 21
    assert device.batches == [4, 3] * 3 and len(rows(out)) == 21
    assert zs.embed_dataset(source, out, encoder=Device(), workers=2).embedded == 0


def test_an_interrupted_embed_keeps_its_parts_and_stops_its_threads(tmp_path: Path) -> None:
    def stop(_what: str, done: int, _total: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    folder, out = photos(tmp_path, 60), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        zs.embed_dataset(folder, out, encoder=Device(), workers=2, rows=10, progress=stop)
    for thread in threading.enumerate():
        if thread.name.startswith(("decode", "feed", "fetch")):
            thread.join(HANG)
            assert not thread.is_alive()
    assert 20 <= len(rows(out)) < 60
    assert zs.embed_dataset(folder, out, encoder=Device(), workers=2).embedded == 60 - 20
