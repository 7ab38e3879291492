"""By what a dataset knows the objects of a store: etags, or size and time. S3: `make test-ray`."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import zeroshelf as zs
from tests import disk_store
from tests.buckets import STORES, Bucket, serving
from tests.colours import BLUE, GREEN, RED, ColourEncoder
from tests.program import command
from tests.test_embed_command import rows, tar
from zeroshelf.actions.on_store import objects, through_fsspec
from zeroshelf.actions.on_store.s3 import S3
from zeroshelf.datasets import sources, versions
from zeroshelf.datasets.places import Place, place
from zeroshelf.datasets.versions import Version
from zeroshelf.errors import MissingPackage, UserError

WITH_ETAGS = [store for store in STORES if store != "memory"]


def picture(colour: tuple[int, int, int]) -> bytes:
    """All of one size in bytes."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(file, "BMP")
    return file.getvalue()


PICTURES = {"photos/a.bmp": picture(RED), "photos/deep/b ü#.bmp": picture(BLUE)}


@pytest.fixture(params=WITH_ETAGS)
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucket]:
    with serving(request.param, tmp_path) as bucket:
        bucket.put(PICTURES)
        yield bucket


@pytest.fixture(params=["listed", "asked for"])
def told(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the etags of S3 come: with boto3, and without it."""
    if request.param == "asked for":
        no_boto3(monkeypatch)


def no_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise MissingPackage("no boto3")

    monkeypatch.setattr(S3, "__init__", missing)


def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record what versions before 0.2.0 did."""
    of_files = versions.of_files

    def earlier(*given: Any) -> list[Version]:
        return [Version(one.earlier, one.earlier) for one in of_files(*given)]

    monkeypatch.setattr(versions, "of_files", earlier)
    monkeypatch.setattr(versions, "of_open", lambda file: "")


def embedded(source: str, out: Path) -> int:
    return zs.embed_dataset(source, out, encoder=ColourEncoder()).embedded


def etags(out: Path) -> dict[str, str]:
    return {uri.partition("bucket/")[2]: row["etag"] for uri, row in rows(out).items()}


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def test_the_etag_is_recorded_and_decides(bucket: Bucket, tmp_path: Path, told: None) -> None:
    source, out = f"{bucket.uri}/photos", tmp_path / "out"
    assert embedded(source, out) == 2
    assert etags(out) == {key: md5(content) for key, content in PICTURES.items()}
    assert embedded(source, out) == 0
    bucket.put(PICTURES)  # the same bytes, uploaded again
    assert embedded(source, out) == 0
    bucket.put({"photos/a.bmp": picture(GREEN)})  # others of the same size
    assert embedded(source, out) == 1
    assert etags(out)["photos/a.bmp"] == md5(picture(GREEN))
    assert embedded(source, out) == 0


def test_changed_bytes_of_equal_size_and_time(
    bucket: Bucket, tmp_path: Path, told: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "_stamp", lambda info: Version("3654-17", "3654-17"))
    source, out = f"{bucket.uri}/photos", tmp_path / "out"
    assert embedded(source, out) == 2
    bucket.put({"photos/a.bmp": picture(GREEN)})
    assert embedded(source, out) == 1


@pytest.mark.parametrize("again", ["listed", "asked for"])
def test_a_dataset_of_an_earlier_version_is_not_embedded_anew(
    bucket: Bucket, tmp_path: Path, again: str
) -> None:
    source, out = f"{bucket.uri}/photos", tmp_path / "out"
    with pytest.MonkeyPatch.context() as before:
        as_before(before)
        assert embedded(source, out) == 2
        recorded = etags(out)
    assert not {*recorded.values()} & {md5(content) for content in PICTURES.values()}
    with pytest.MonkeyPatch.context() as now:
        if again == "asked for":
            no_boto3(now)
        bucket.put({"photos/c.bmp": picture(GREEN)})
        assert embedded(source, out) == 1
        assert embedded(source, out) == 0
        bucket.put({"photos/a.bmp": picture(GREEN) + b"longer"})
        assert embedded(source, out) == 1
        assert etags(out)["photos/a.bmp"] == md5(picture(GREEN) + b"longer")


def test_quotes_around_an_etag_are_no_other_version(bucket: Bucket, tmp_path: Path) -> None:
    """A dataset that was made of a manifest, then of the prefix itself."""
    uris = [f"{bucket.uri}/{key}" for key in PICTURES]
    quoted = [f'"{md5(content)}"' for content in PICTURES.values()]
    pq.write_table(pa.table({"uri": uris, "etag": quoted}), tmp_path / "manifest.parquet")
    out = tmp_path / "out"
    assert embedded(str(tmp_path / "manifest.parquet"), out) == 2
    assert {*etags(out).values()} == {*quoted}  # as the manifest has them
    assert embedded(str(tmp_path / "manifest.parquet"), out) == 0
    assert embedded(f"{bucket.uri}/photos", out) == 0


@pytest.mark.parametrize("name", ["photos/a.bmp", "photos/*.bmp"])
def test_objects_by_their_names(bucket: Bucket, tmp_path: Path, told: None, name: str) -> None:
    out = tmp_path / "out"
    assert embedded(f"{bucket.uri}/{name}", out) == 1
    assert etags(out) == {"photos/a.bmp": md5(PICTURES["photos/a.bmp"])}
    bucket.put(PICTURES)
    assert embedded(f"{bucket.uri}/{name}", out) == 0
    bucket.put({"photos/a.bmp": picture(GREEN)})
    assert embedded(f"{bucket.uri}/{name}", out) == 1


def test_many_objects_by_their_names(
    bucket: Bucket, tmp_path: Path, told: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "_FEW", 1)
    bucket.put({f"n/{n}.bmp": picture(GREEN) for n in range(3)} | {"other.bmp": picture(RED)})
    assert embedded(f"{bucket.uri}/n/{{0..2}}.bmp", tmp_path / "out") == 3
    assert {*etags(tmp_path / "out").values()} == {md5(picture(GREEN))}


def test_tars(bucket: Bucket, tmp_path: Path, told: None) -> None:
    def shard(**colours: tuple[int, int, int]) -> bytes:
        given = {f"{name}.bmp": picture(colour) for name, colour in colours.items()}
        return tar(tmp_path / "made.tar", given).read_bytes()

    source, out = f"{bucket.uri}/shards", tmp_path / "out"
    bucket.put({"shards/0.tar": (first := shard(a=RED, b=BLUE)), "shards/1.tar": shard(c=RED)})
    with pytest.MonkeyPatch.context() as before:
        as_before(before)
        assert embedded(source, tmp_path / "old") == 3
    assert embedded(source, tmp_path / "old") == 0
    assert embedded(source, out) == 3
    assert etags(out)["shards/0.tar#a.bmp"] == md5(first)
    bucket.put({"shards/0.tar": first})
    assert embedded(source, out) == 0
    bucket.put({"shards/0.tar": shard(a=RED, b=GREEN)})  # of the same size
    assert embedded(source, out) == 2


def test_a_tar_that_an_earlier_version_left_half_done(
    bucket: Bucket, tmp_path: Path, told: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = tar(tmp_path / "made.tar", {f"{n}.bmp": picture(RED) for n in range(3)})
    bucket.put({"shards/0.tar": shard.read_bytes()})
    source, out = f"{bucket.uri}/shards", tmp_path / "out"
    with pytest.MonkeyPatch.context() as before:
        as_before(before)
        zs.embed_dataset(source, out, encoder=ColourEncoder(), rows=1)
    for part in sorted(out.glob("part-*"))[:2]:
        part.unlink()
    for part in out.glob("part-*"):  # without the word that the tar is complete
        pq.write_table(pq.read_table(part).replace_schema_metadata(None), part)
    assert embedded(source, out) == 2 and len(rows(out)) == 3
    assert embedded(source, out) == 0


@pytest.mark.parametrize("bucket", [*{*WITH_ETAGS} & {"s3"}], indirect=True)
def test_what_cannot_be_asked_for_ends_the_run(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be fetched again otherwise, and its error would take the place of its embedding."""
    assert embedded(f"{bucket.uri}/photos", tmp_path / "out") == 2
    no_boto3(monkeypatch)

    def broken(file: object) -> str:
        raise OSError("slow down")

    monkeypatch.setattr(versions, "of_open", broken)
    with pytest.raises(UserError, match=r"photos/.* can't be looked at: slow down"):
        embedded(f"{bucket.uri}/photos", tmp_path / "out")


def test_a_copy_on_the_store_needs_no_reading(
    bucket: Bucket, tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """`score --to` knows what was embedded by the recorded etag, also where the time differs."""
    monkeypatch.setattr("zeroshelf.datasets.score.encoder_for", lambda *given: encoder)
    out = tmp_path / "Vectors"
    assert embedded(f"{bucket.uri}/photos", out) == 2
    bucket.put(PICTURES)

    def read(self: object, uri: str) -> bytes:
        raise AssertionError(uri)

    for kind in (
        "zeroshelf.actions.on_store.s3.S3",
        "zeroshelf.actions.on_store.through_fsspec.Fsspec",
    ):
        monkeypatch.setattr(f"{kind}.digest", read)
    asked = ("score", out, "-l", "red", "-l", "blue", "--out", tmp_path / "Results")
    assert command(*asked, "--to", f"{bucket.uri}/sorted") == 0
    assert "changed since" not in capfd.readouterr().err


def test_a_store_without_etags_goes_by_size_and_time(tmp_path: Path) -> None:
    with serving("memory", tmp_path) as bucket:
        bucket.put({"a.bmp": picture(RED)})
        for name in ("", "/a.bmp"):
            source, out = f"{bucket.uri}{name}", tmp_path / f"out{len(name)}"
            assert (embedded(source, out), embedded(source, out)) == (1, 0)
            bucket.put({"a.bmp": picture(GREEN)})  # later
            assert (embedded(source, out), embedded(source, out)) == (1, 0)


@pytest.mark.parametrize(
    ("told", "etag"),
    [
        ({"ETag": '"abc"', "LastModified": "2026"}, "abc"),  # s3fs
        ({"etag": "CJ=", "md5Hash": "Zm9v", "mtime": 3}, "Zm9v"),  # gcsfs: etag is new each time
        ({"etag": "CJ=", "crc32c": "AA==", "generation": "17"}, "CJ="),  # composed: without a hash
        ({"etag": "0x8D", "last_modified": 3}, "0x8D"),  # adlfs
        ({"blob_id": "d670", "lfs": None}, "d670"),  # Hugging Face
        ({"created": 3.5, "md5": b"\0"}, ""),
        ({}, ""),
    ],
)
def test_the_etag_that_file_systems_tell(told: dict[str, Any], etag: str) -> None:
    assert objects.etag_of(told | {"size": 5}) == etag


def test_google_s_objects_are_listed_through_fsspec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: pyarrow's file system for gs:// has no etags, gcsfs lists them."""

    class Google:
        type_name = "gcs"

    with serving("disk", tmp_path) as bucket:
        bucket.put(PICTURES)
        opened = place(bucket.uri)
        monkeypatch.setattr(
            through_fsspec, "file_system",
            lambda uri: (opened.files.handler.fs, uri.partition("://")[2]),
        )  # fmt: skip
        files = opened.files.get_file_info(pa.fs.FileSelector("bucket", recursive=True))
        files = [one for one in files if one.type == pa.fs.FileType.File]
        here = Place(Google(), "bucket", "gs://")
        found = versions.of_files(here, files, None)
    assert {one.etag for one in found} == {md5(content) for content in PICTURES.values()}
    assert [one.earlier for one in found] == [f"{one.size}-{one.mtime_ns or 0}" for one in files]


def test_local_files_go_by_size_and_time(tmp_path: Path) -> None:
    (tmp_path / "a.bmp").write_bytes(picture(RED))
    (row,) = sources.manifest(str(tmp_path)).to_pylist()
    at = (tmp_path / "a.bmp").stat()
    assert (row["etag"], row["earlier"]) == (f"{at.st_size}-{at.st_mtime_ns}", "")


def test_a_second_run_in_one_process_lists_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File systems of fsspec keep their listings, as s3fs and gcsfs do."""
    kept: dict[str, Any] = {}
    find = disk_store.DiskStore.find

    def listed(self: disk_store.DiskStore, path: str, detail: bool = False, **_: Any) -> Any:
        if path not in kept:
            kept[path] = find(self, path, detail=True)
        return kept[path] if detail else list(kept[path])

    monkeypatch.setattr(disk_store.DiskStore, "find", listed)
    monkeypatch.setattr(
        disk_store.DiskStore, "invalidate_cache", lambda self, path=None: kept.clear()
    )
    with serving("disk", tmp_path) as bucket:
        bucket.put(PICTURES)
        source, out = f"{bucket.uri}/photos", tmp_path / "out"
        assert embedded(source, out) == 2
        bucket.put({"photos/a.bmp": picture(GREEN)})
        assert (embedded(source, out), embedded(source, out)) == (1, 0)
