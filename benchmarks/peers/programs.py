"""How each program is called: its help, a first query from nothing, and a second one."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import environments, watched
from benchmarks.peers.watched import Failed, Used

ARCHITECTURE = "ViT-B-32-256"  # in open_clip's words
# Of clip-retrieval, which embeds two batches of pictures and two of texts to warm up: its own, 256,
# takes minutes for that. And a process that only decodes: its own four each import PyTorch.
BATCH, DECODERS = 8, 1
IN_CLIP_RETRIEVAL = Path(__file__).with_name("in_clip_retrieval.py")
IN_FIFTYONE = Path(__file__).with_name("in_fiftyone.py")
# PyTorch's threads sleep while they wait for each other. By default they turn, which counts as
# processor time, on a machine that others use too far more than they compute.
SLEEPING = {"OMP_WAIT_POLICY": "PASSIVE"}
OFFLINE = {"HF_HUB_OFFLINE": "1", "FIFTYONE_DO_NOT_TRACK": "true", "WANDB_MODE": "disabled"}


@dataclass(frozen=True, slots=True)
class Setting:
    work: Path  # has the environments
    place: Path  # is removed afterwards

    @property
    def pictures(self) -> Path:
        return self.place / "pictures"

    @property
    def graphs(self) -> Path:
        """The ONNX model, as rclip lays it out; kept for the next run."""
        return self.work / "graphs"

    @property
    def weights(self) -> Path:
        """open_clip's; kept for the next run."""
        return self.work / "weights.pt"

    def run(
        self,
        name: str,
        words: Sequence[object],
        more: Mapping[str, str] | None = None,
        service: int | None = None,
    ) -> Used:
        """`name`: of the program's home folder, which is empty at first."""
        home = self.place / f"home-{name}"
        home.mkdir(exist_ok=True)
        settings = {"HOME": str(home), **OFFLINE, **SLEEPING, **(more or {})}
        errors = home / "errors"
        return watched.run([*map(str, words)], self.pictures, settings, errors, service)


@dataclass(frozen=True, slots=True)
class Program:
    title: str
    start: Callable[[], Used]
    first: Callable[[str], Used]
    second: Callable[[str], Used]


def _answered(used: Used, hits: int) -> Used:
    if hits < 10:
        raise Failed(f"{hits} hits of 10: {used.out[-300:]!r}")
    return used


@contextmanager
def rclip(setting: Setting) -> Iterator[Program]:
    command = environments.program(setting.work, "rclip")
    title = f"rclip {environments.version(setting.work, 'rclip')}"
    data = setting.place / "rclip"  # its index lies beside its model
    shutil.copytree(setting.graphs, data, copy_function=os.link)
    there = {"RCLIP_DATADIR": str(data)}

    def query(word: str) -> Used:
        used = setting.run("rclip", [command, "-f", "-t", 10, word], there)
        return _answered(used, len(used.out.splitlines()))

    yield Program(title, lambda: setting.run("rclip", [command, "--help"], there), query, query)


def _zeroshelf(
    title: str, *how: str, sort: bool = False
) -> Callable[[Setting], AbstractContextManager[Program]]:
    @contextmanager
    def found(setting: Setting) -> Iterator[Program]:
        name = title.replace(" ", "-")
        command = [sys.executable, "-m", "zeroshelf"]
        home = setting.place / f"own-{name}"
        there = {f"ZEROSHELF_{part}": str(home / part.lower()) for part in ("CACHE", "MODELS")}

        def query(word: str) -> Used:
            words = ["search", word, ".", "--top", 10, "--all", "--model", setting.graphs, *how]
            if sort:
                words = ["sort", ".", "-l", word, "-l", "cat", "--model", setting.graphs, *how]
                words += ["--to", home / "shelves"]
            used = setting.run(name, [*command, *words], there)
            return _answered(used, 10 if sort else used.out.count(".jpg"))

        yield Program(title, lambda: setting.run(name, [*command, "--help"], there), query, query)

    return found


@contextmanager
def clip_retrieval(setting: Setting) -> Iterator[Program]:
    name = "clip-retrieval"
    command = environments.program(setting.work, name)
    own = [environments.python(setting.work, name), IN_CLIP_RETRIEVAL]
    model = f"open_clip:{ARCHITECTURE}/{setting.weights}"
    vectors, index = setting.place / "vectors", setting.place / "index"

    def first(word: str) -> Used:
        where = ["--input_dataset", setting.pictures, "--output_folder", vectors]
        how = ["--enable_text", "False", "--clip_model", model, "--batch_size", BATCH]
        how += ["--num_prepro_workers", DECODERS]
        used = setting.run(name, [command, "inference", *where, *how])
        where = ["--embeddings_folder", vectors, "--index_folder", index]
        return used + setting.run(name, [command, "index", *where]) + second(word)

    def second(word: str) -> Used:
        used = setting.run(name, [*own, "query", index, model, word])
        return _answered(used, used.out.count("hit "))

    title = f"{name} {environments.version(setting.work, name)}"
    yield Program(title, lambda: setting.run(name, [command, "--help"]), first, second)


@contextmanager
def fiftyone(setting: Setting) -> Iterator[Program]:
    name = "fiftyone"
    with mongodb(environments.mongod(setting.work), setting.place / "mongodb") as (uri, service):
        there = {"FIFTYONE_DATABASE_URI": uri, "FIFTYONE_DATABASE_VALIDATION": "false"}
        own = [environments.python(setting.work, name), IN_FIFTYONE]

        def query(step: str, word: str) -> Used:
            words = [*own, step, setting.pictures, setting.weights, word]
            used = setting.run(name, words, there, service)
            return _answered(used, used.out.count("hit "))

        help = [environments.program(setting.work, name), "--help"]
        yield Program(
            f"FiftyOne {environments.version(setting.work, name)}",
            lambda: setting.run(name, help, there, service),
            lambda word: query("first", word),
            lambda word: query("second", word),
        )


@contextmanager
def mongodb(program: Path, data: Path) -> Iterator[tuple[str, int]]:
    """A MongoDB on this machine alone: its address and the number of its process."""
    data.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program.chmod(0o755)
    words = [str(program), "--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen([*words, "--nounixsocket", "--logpath", str(data / "log")]) as process:
        try:
            while process.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            yield f"mongodb://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()


PROGRAMS: dict[str, Callable[[Setting], AbstractContextManager[Program]]] = {
    "rclip": rclip,
    "zeroshelf": _zeroshelf("zeroshelf", "--paths"),
    "zeroshelf-probabilities": _zeroshelf("zeroshelf with probabilities"),
    "zeroshelf-sort": _zeroshelf("zeroshelf sort", "--dry-run", sort=True),
    "clip-retrieval": clip_retrieval,
    "fiftyone": fiftyone,
}
