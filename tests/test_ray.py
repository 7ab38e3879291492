"""`zeroshelf embed --engine ray` against a local S3 server: `make test-ray`."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

try:
    import moto.server  # noqa: F401  # started as a process
    import ray
except ImportError as missing:  # said aloud: no other test runs the actors
    warnings.warn(f"the engine ray is NOT tested: {missing.name} is not installed", stacklevel=1)
    pytest.skip(
        f"needs zeroshelf[ray] and moto: {missing.name} is missing", allow_module_level=True
    )

import zeroshelf as zs
from benchmarks import ray_kills
from tests import tiny
from tests.s3_server import S3Server
from zeroshelf.datasets.places import place
from zeroshelf.errors import UserError

PICTURES = 48


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        before = dict(os.environ)
        os.environ |= server.environment
        server.put("pictures", {f"{n:03}.jpg": ray_kills.picture(n) for n in range(PICTURES)})
        server.put("vectors", {})
        yield server
        for name in server.environment:
            os.environ.pop(name)
        os.environ |= before


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.immich(tmp_path_factory.mktemp("model"), logit_scale=100.0))


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    yield
    ray.shutdown()


def test_two_actors_from_and_to_a_bucket_as_one_process(server: S3Server, model: str) -> None:
    start = server.position()
    made = zs.embed_dataset(
        "s3://pictures", "s3://vectors/two", model=model, engine="ray", workers=2, rows=8
    )
    assert (made.embedded, made.failed, len(made)) == (PICTURES, 0, PICTURES)
    fetched = server.fetched(start)
    assert {fetched[f"pictures/{n:03}.jpg"] for n in range(PICTURES)} == {1}
    zs.embed_dataset("s3://pictures", "s3://vectors/one", model=model, rows=8)
    two = ray_kills.rows_of(place("s3://vectors/two"))
    assert two == ray_kills.rows_of(place("s3://vectors/one")) and len(two) == PICTURES
    start = server.position()
    again = zs.embed_dataset("s3://pictures", "s3://vectors/two", model=model, engine="ray")
    assert (again.embedded, again.earlier) == (0, PICTURES)
    assert not any(name.startswith("pictures/") for name in server.fetched(start))


def test_a_cluster_that_can_not_be_started_is_one_line(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Any] = []

    def late(**given: Any) -> None:
        starts.append(given)
        raise Exception("The current node timed out\n during startup")

    (tmp_path / "a.jpg").write_bytes(ray_kills.picture(1))
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(UserError, match="Ray can't be started: The current node timed out") as said:
        zs.embed_dataset(tmp_path, tmp_path / "out", model=model, engine="ray")
    assert len(starts) == 2 and "\n" not in str(said.value)


def test_one_broken_picture_is_a_row(server: S3Server, model: str, tmp_path: Path) -> None:
    server.put("broken", {"a.jpg": b"\xff\xd8\xff", "b.jpg": ray_kills.picture(1)})
    made = zs.embed_dataset(
        "s3://broken", tmp_path / "out", model=model, engine="ray", workers=2, rows=1
    )
    assert (made.embedded, made.failed) == (2, 1)
    errors = {row["uri"]: row["error"] for part in made.tables() for row in part.to_pylist()}
    assert errors["s3://broken/b.jpg"] is None and "JPEG" in errors["s3://broken/a.jpg"]


def test_tars_of_a_bucket_and_a_key_twice(server: S3Server, model: str, tmp_path: Path) -> None:
    def shard(*names: str) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            for number, name in enumerate(names):
                info = tarfile.TarInfo(name)
                info.size = len(content := ray_kills.picture(number))
                tar.addfile(info, io.BytesIO(content))
        return file.getvalue()

    given: dict[str, Any] = {"model": model, "engine": "ray", "workers": 2}
    server.put("shards", {"0.tar": shard("a.jpg", "b.jpg"), "1.tar": shard("c.jpg", "d.jpg")})
    assert zs.embed_dataset("s3://shards/{0..1}.tar", tmp_path / "out", **given).embedded == 4
    server.put("twice", {"0.tar": shard("a.jpg", "b.jpg", "a.jpg")})
    with pytest.raises(UserError, match=r"s3://twice/0\.tar: the key 'a' is there twice"):
        zs.embed_dataset("s3://twice", tmp_path / "twice", **given)


def test_an_actor_and_the_driver_are_killed(server: S3Server, model: str, tmp_path: Path) -> None:
    script = [sys.executable, "-m", "benchmarks.ray_kills"]
    asked = ["--pictures", "300", "--kills", "1", "--model", "tiny", "--rows", "8"]
    done = subprocess.run([*script, *asked], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[1])["kills"] == 2


def test_the_layout_is_read_by_clip_retrieval_s_own_reader(
    server: S3Server, model: str, tmp_path: Path
) -> None:
    reader = pytest.importorskip("embedding_reader")
    out = tmp_path / "out"
    zs.embed_dataset("s3://pictures", out, model=model, layout="clip-retrieval")
    found = reader.EmbeddingReader(
        embeddings_folder=str(out / "img_emb"),
        metadata_folder=str(out / "metadata"),
        meta_columns=["image_path"],
        file_format="parquet_npy",
    )
    assert (found.count, found.dimension) == (PICTURES, tiny.DIM)
    wanted = ray_kills.rows_of(place(str(out)))
    for vectors, meta in found(batch_size=10, show_progress=False):
        for vector, uri in zip(vectors, meta["image_path"], strict=True):
            assert np.asarray(vector, np.float16).tobytes() == wanted[uri][1]
