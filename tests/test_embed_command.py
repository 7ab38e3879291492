"""`zeroshelf embed` with the local engine: sources, resume, errors, layouts."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import zeroshelf as zs
from tests.colours import BLUE, GREEN, GREY, RED, ColourEncoder, paint
from tests.program import command
from zeroshelf.datasets import about, clip_retrieval, parts, sources, worker
from zeroshelf.datasets.places import Place, local_path, place
from zeroshelf.errors import ArgumentError, UserError
from zeroshelf.images import decode

JPEG = {"red": RED, "blue": BLUE, "green": GREEN, "grey": GREY}


def picture(colour: str, folder: Path) -> bytes:
    return paint(folder / "one.jpg", JPEG[colour]).read_bytes()


def rows(out: Path | str) -> dict[str, dict[str, Any]]:
    """uri -> row; fails where a uri is there twice."""
    found = [row for part in parts.read_parts(place(str(out))) for row in part.to_pylist()]
    assert len({row["uri"] for row in found}) == len(found)
    return {row["uri"]: row for row in found}


def bits(vector: object) -> bytes:
    return np.asarray(vector, np.float16).tobytes()


def tar(file: Path, given: dict[str, bytes] | list[tuple[str, bytes]]) -> Path:
    members = [*given.items()] if isinstance(given, dict) else given
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


def embed(source: object, out: object, encoder: ColourEncoder, **given: Any) -> zs.EmbeddedDataset:
    return zs.embed_dataset(str(source), str(out), encoder=encoder, **given)


# --- a folder -----------------------------------------------------------------------------------


def test_a_folder_is_embedded_bit_by_bit_as_elsewhere(
    folder: Path, tmp_path: Path, encoder: ColourEncoder
) -> None:
    made = embed(folder, tmp_path / "out", encoder, rows=2, workers=2)
    found = rows(tmp_path / "out")
    assert len(made) == len(found) == made.embedded == 5 and made.earlier == 0
    index = zs.index(folder, encoder=encoder)
    for path, vector in zip(index.paths, index.vectors, strict=True):
        row = found[Path(path).as_uri()]
        assert bits(row["embedding"]) == bits(vector)
        assert (row["width"], row["height"], row["error"]) == (40, 30, None)
        assert row["digest"] == decode.digest(Path(path).read_bytes()).hex()
        assert row["model"] == "colours"
    broken = found[(folder / "broken.jpg").as_uri()]
    assert made.failed == 1 and broken["error"] and broken["embedding"] is None
    assert len(parts.part_names(place(str(tmp_path / "out")))) == 3  # rows=2


def test_the_starter_too(tmp_path: Path) -> None:
    pictures = zs.demo_pictures(tmp_path / "demo")
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(Path(pictures).glob("*.jpg"))[:3]:
        os.link(path, few / path.name)
    zs.embed_dataset(few, tmp_path / "out", model="starter", workers=1)
    answers = zs.embed_batch(sorted(few.iterdir()), zs.load_model("starter"))
    vectors = [one.vector for one in answers if isinstance(one, zs.EmbeddedFile)]
    found = rows(tmp_path / "out")
    assert [bits(found[path.as_uri()]["embedding"]) for path in sorted(few.iterdir())] == [
        bits(vector) for vector in vectors
    ]
    assert len(vectors) == 3


def test_the_same_walk_as_sort(folder: Path, tmp_path: Path, encoder: ColourEncoder) -> None:
    paint(folder / ".hidden" / "a.jpg", RED)
    paint(folder / "other" / "a.jpg", RED)
    (folder / "fake.jpg").write_text("no picture at all, and longer than nothing")
    embed(folder, folder / "vectors", encoder, exclude=["other"])
    embed(folder, folder / "vectors", encoder, exclude=["other"])
    found = rows(folder / "vectors")
    assert {os.path.basename(uri) for uri in found} == {
        "a.jpg", "b.png", "grey.jpg", "broken.jpg", "fake.jpg",
    }  # fmt: skip
    assert "not a picture" in found[(folder / "fake.jpg").as_uri()]["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_no_utf_8(tmp_path: Path, encoder: ColourEncoder) -> None:
    odd = paint(tmp_path / "pictures" / "a.jpg", RED).rename(tmp_path / "pictures" / "o\udcff.jpg")
    embed(odd.parent, tmp_path / "out", encoder)
    assert [local_path(uri) for uri in rows(tmp_path / "out")] == [str(odd)]
    assert embed(odd.parent, tmp_path / "out", encoder).embedded == 0
    with pytest.raises(UserError, match="no UTF-8"):
        embed(odd, tmp_path / "other", encoder)


def test_a_second_run_embeds_what_is_new_or_changed(
    folder: Path, tmp_path: Path, encoder: ColourEncoder
) -> None:
    out = tmp_path / "out"
    embed(folder, out, encoder)
    before, names = encoder.pictures, parts.part_names(place(str(out)))
    made = embed(folder, out, encoder)
    assert (made.embedded, made.earlier) == (0, 5) and encoder.pictures == before
    assert parts.part_names(place(str(out))) == names
    paint(folder / "new.jpg", GREEN)
    paint(folder / "grey.jpg", BLUE)
    os.utime(folder / "grey.jpg", ns=(1, 1))
    made = embed(folder, out, encoder)
    assert made.embedded == 2 and encoder.pictures == before + 2
    found = rows(out)
    assert len(found) == 6
    blue = found[(folder / "b.png").as_uri()]["embedding"]
    assert np.allclose(found[(folder / "grey.jpg").as_uri()]["embedding"], blue, atol=0.01)
    assert embed(folder, out, encoder).embedded == 0


def test_an_interrupted_run_costs_the_parts_in_flight(
    tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = tmp_path / "pictures"
    for number in range(20):
        paint(pictures / f"{number:02}.jpg", (10 * number, 20, 90))
    read: list[str] = []

    def counted_read(path: str) -> decode.Content:
        read.append(path)
        if len(read) == 15:
            raise KeyboardInterrupt
        return whole(path)

    whole = decode.read
    monkeypatch.setattr(decode, "read", counted_read)
    with pytest.raises(KeyboardInterrupt):
        embed(pictures, tmp_path / "out", encoder, rows=4, workers=1)
    kept = rows(tmp_path / "out")
    assert 0 < len(kept) < 20
    read[:] = ["from here on no interruption"] * 15
    made = embed(pictures, tmp_path / "out", encoder, rows=4, workers=1)
    assert made.earlier == len(kept) and made.embedded == 20 - len(kept)
    assert not {Path(path).as_uri() for path in read[15:]} & {*kept}
    alone = tmp_path / "alone"
    embed(pictures, alone, encoder)
    assert {uri: bits(row["embedding"]) for uri, row in rows(tmp_path / "out").items()} == {
        uri: bits(row["embedding"]) for uri, row in rows(alone).items()
    }


def test_another_model_is_refused_in_one_line(
    folder: Path, tmp_path: Path, encoder: ColourEncoder
) -> None:
    out = tmp_path / "out"
    embed(folder, out, encoder)
    model = encoder.model.__class__
    fields = {name: getattr(encoder.model, name) for name in model.__slots__}
    other = ColourEncoder(model(**fields | {"id": "other", "digest": "another"}))
    for _ in range(2):
        with pytest.raises(UserError, match="give --model colours") as refused:
            embed(folder, out, other)
        assert "\n" not in str(refused.value)
    (out / about.FILE).unlink()  # the parts know it too
    with pytest.raises(UserError, match="of another model than other"):
        embed(folder, out, other)
    assert len(rows(out)) == 5


def test_a_dataset_of_two_sources_names_both(
    folder: Path, tmp_path: Path, encoder: ColourEncoder
) -> None:
    paint(tmp_path / "more" / "z.jpg", RED)
    embed(folder, tmp_path / "out", encoder)
    embed(tmp_path / "more", tmp_path / "out", encoder)
    record = about.read(place(str(tmp_path / "out")))
    assert record is not None and record.sources == (str(folder), str(tmp_path / "more"))
    assert len(rows(tmp_path / "out")) == 6


def test_what_could_not_be_fetched_is_tried_again(tmp_path: Path, encoder: ColourEncoder) -> None:
    here = paint(tmp_path / "a.jpg", RED)
    gone = tmp_path / "b.jpg"
    uris = [here.as_uri(), gone.as_uri()]
    pq.write_table(pa.table({"uri": uris}), tmp_path / "manifest.parquet")
    made = embed(tmp_path / "manifest.parquet", tmp_path / "out", encoder)
    assert (made.embedded, made.failed) == (2, 1)
    assert rows(tmp_path / "out")[uris[1]]["error"].startswith(parts.NOT_FETCHED)
    paint(gone, BLUE)
    made = embed(tmp_path / "manifest.parquet", tmp_path / "out", encoder)
    assert (made.embedded, made.failed, made.earlier) == (1, 0, 2)
    assert rows(tmp_path / "out")[uris[1]]["error"] is None


def test_what_was_only_a_placeholder_is_looked_at_again(
    tmp_path: Path, encoder: ColourEncoder
) -> None:
    paint(tmp_path / "P" / "a.jpg", RED)
    red = (tmp_path / "P" / "a.jpg").read_bytes()
    late = tmp_path / "P" / "late.jpg"
    late.write_bytes(bytes(len(red)))
    os.utime(late, ns=(10**18, 10**18))
    assert embed(tmp_path / "P", tmp_path / "out", encoder).failed == 1
    late.write_bytes(red)
    os.utime(late, ns=(10**18, 10**18))  # the same size and time, as a cloud's program leaves them
    made = embed(tmp_path / "P", tmp_path / "out", encoder)
    assert (made.embedded, made.failed) == (1, 0)
    assert rows(tmp_path / "out")[late.as_uri()]["error"] is None


# --- a manifest ---------------------------------------------------------------------------------


def test_a_manifest_says_which_pictures_and_versions(
    tmp_path: Path, encoder: ColourEncoder
) -> None:
    red = paint(tmp_path / "pictures" / "r.jpg", RED)
    blue = paint(tmp_path / "pictures" / "b.jpg", BLUE)
    paint(tmp_path / "pictures" / "not listed.jpg", GREY)

    def write(etag: str) -> None:
        columns = {"uri": [str(red), blue.as_uri()], "size": [1, 1], "etag": [etag, "1"]}
        pq.write_table(pa.table(columns), tmp_path / "m.parquet")

    write("1")
    assert embed(tmp_path / "m.parquet", tmp_path / "out", encoder).embedded == 2
    assert {*rows(tmp_path / "out")} == {str(red), blue.as_uri()}  # as the manifest names them
    paint(red, GREEN)
    assert embed(tmp_path / "m.parquet", tmp_path / "out", encoder).embedded == 0
    write("2")
    assert embed(tmp_path / "m.parquet", tmp_path / "out", encoder).embedded == 1
    changed = rows(tmp_path / "out")[str(red)]
    assert changed["etag"] == "2" and np.argmax(changed["embedding"]) == 1
    write("1")  # the older version again: its row is not the one that counts
    assert embed(tmp_path / "m.parquet", tmp_path / "out", encoder).embedded == 1


def test_a_manifest_with_one_uri_twice(tmp_path: Path, encoder: ColourEncoder) -> None:
    red = str(paint(tmp_path / "r.jpg", RED))
    pq.write_table(pa.table({"uri": [red, red], "etag": ["1", "1"]}), tmp_path / "same.parquet")
    assert embed(tmp_path / "same.parquet", tmp_path / "out", encoder).embedded == 1
    pq.write_table(pa.table({"uri": [red, red], "etag": ["1", "2"]}), tmp_path / "two.parquet")
    with pytest.raises(UserError, match=r"r\.jpg is there twice"):
        embed(tmp_path / "two.parquet", tmp_path / "out", encoder)


# --- containers ---------------------------------------------------------------------------------


def test_webdataset_tars_also_unordered_ones(tmp_path: Path, encoder: ColourEncoder) -> None:
    red, blue = picture("red", tmp_path), picture("blue", tmp_path)
    ordered = {"000.jpg": red, "000.txt": b"a", "000.json": b"{}", "001.jpg": blue, "001.txt": b"b"}
    mixed = {"002.jpg": red, "003.jpg": blue, "002.json": b"{}", "003.json": b"{}", "004.txt": b""}
    first = tar(tmp_path / "shards" / "00000.tar", ordered)
    second = tar(tmp_path / "shards" / "00001.tar", mixed)
    (tmp_path / "shards" / "00000.parquet").write_bytes(b"img2dataset's own")
    made = embed(tmp_path / "shards", tmp_path / "out", encoder, rows=1, workers=2)
    found = rows(tmp_path / "out")
    assert made.embedded == len(found) == 4
    wanted = {f"{first.as_uri()}#000.jpg": 0, f"{first.as_uri()}#001.jpg": 2}
    wanted |= {f"{second.as_uri()}#002.jpg": 0, f"{second.as_uri()}#003.jpg": 2}
    assert {uri: int(np.argmax(row["embedding"])) for uri, row in found.items()} == wanted
    assert embed(tmp_path / "shards", tmp_path / "out", encoder).embedded == 0
    named = embed(f"{tmp_path}/shards/{{00000..00001}}.tar", tmp_path / "named", encoder)
    starred = embed(f"{tmp_path}/shards/*.tar", tmp_path / "starred", encoder)
    assert named.embedded == starred.embedded == 4
    with pytest.raises(UserError, match=r"00002\.tar doesn't exist"):
        embed(f"{tmp_path}/shards/{{00000..00002}}.tar", tmp_path / "named", encoder)


@pytest.mark.parametrize("between", [[], [("001.jpg", b""), ("001.txt", b"")]])
@pytest.mark.parametrize("again", ["000.jpg", "000.txt", "./000.JPG"])
def test_a_key_twice_is_an_error_that_names_it(
    tmp_path: Path, encoder: ColourEncoder, between: list[tuple[str, bytes]], again: str
) -> None:
    red = picture("red", tmp_path)
    members = [("000.jpg", red), ("000.txt", b""), *between, (again, red)]
    shard = tar(tmp_path / "00000.tar", members)
    with pytest.raises(UserError, match="the key '000' is there twice") as refused:
        embed(shard, tmp_path / "out", encoder)
    assert shard.as_uri() in str(refused.value)
    assert rows(tmp_path / "out") == {}  # nothing of it was embedded


def test_a_tar_that_is_half_done_goes_on(
    tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = picture("red", tmp_path)
    shard = tar(tmp_path / "0.tar", {f"{key:02}.jpg": red for key in range(10)})
    written: list[str] = []

    def write(*given: Any) -> str:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(whole(*given))
        return written[-1]

    whole = parts.write_part
    monkeypatch.setattr(parts, "write_part", write)
    with pytest.raises(KeyboardInterrupt):
        embed(shard, tmp_path / "out", encoder, rows=3)
    monkeypatch.setattr(parts, "write_part", whole)
    assert len(rows(tmp_path / "out")) == 6
    made = embed(shard, tmp_path / "out", encoder, rows=3)
    assert (made.embedded, made.earlier) == (4, 6) and len(rows(tmp_path / "out")) == 10
    assert embed(shard, tmp_path / "out", encoder).embedded == 0


def test_a_tar_that_breaks_off_is_a_row_with_its_error(
    tmp_path: Path, encoder: ColourEncoder
) -> None:
    red = picture("red", tmp_path)
    shard = tar(tmp_path / "0.tar", {"0.jpg": red, "1.jpg": red, "2.jpg": b"no picture"})
    cuts = []
    for size in (100, 512 + 100, 2 * 512, 512 + 1024, 512 + 1024 + 100, 512 + 1024 + 600):
        cuts.append(tmp_path / f"cut{size}.tar")
        cuts[-1].write_bytes(shard.read_bytes()[:size])
    assert 512 < len(red) <= 1024  # the cuts are in a header, between members, in a content
    noise = tmp_path / "noise.tar"
    noise.write_bytes(b"noise " * 1000)
    embed(shard, tmp_path / "whole", encoder)
    errors = {uri.rpartition("#")[2]: row["error"] for uri, row in rows(tmp_path / "whole").items()}
    assert errors["0.jpg"] is None and "picture format" in errors["2.jpg"]
    for broken in (*cuts, noise):
        made = embed(broken, tmp_path / broken.stem, encoder)
        assert made.failed >= 1 and rows(tmp_path / broken.stem)[broken.as_uri()]["error"]
        assert embed(broken, tmp_path / broken.stem, encoder).embedded == 0


def test_parquet_with_bytes_as_hugging_face_writes_it(
    tmp_path: Path, encoder: ColourEncoder
) -> None:
    images = [
        {"bytes": picture("red", tmp_path), "path": "a.jpg"},
        {"bytes": picture("blue", tmp_path), "path": None},
        {"bytes": None, "path": "elsewhere.jpg"},
        {"bytes": b"broken", "path": "x.jpg"},
        None,
    ]
    file = tmp_path / "data" / "train-00000.parquet"
    file.parent.mkdir()
    pq.write_table(pa.table({"label": [1, 2, 3, 4, 5], "image": images}), file)
    made = embed(tmp_path / "data", tmp_path / "out", encoder, rows=2)
    assert (made.embedded, made.failed) == (5, 3)
    found = rows(tmp_path / "out")
    assert [*sorted(found)] == [f"{file.as_uri()}#{row}" for row in range(5)]
    errors = [found[f"{file.as_uri()}#{row}"]["error"] for row in range(5)]
    assert errors[:2] == [None, None] and "elsewhere.jpg" in errors[2] and errors[3] and errors[4]
    assert np.argmax(found[f"{file.as_uri()}#1"]["embedding"]) == 2
    assert embed(tmp_path / "data", tmp_path / "out", encoder).embedded == 0


def test_a_worker_with_several_threads_writes_the_same(
    tmp_path: Path, encoder: ColourEncoder
) -> None:
    """As the actor of a GPU has."""
    for number in range(9):
        paint(tmp_path / "P" / f"{number}.jpg", (20 * number, 40, 90))
    listed = sources.unfinished(sources.manifest(str(tmp_path / "P")), place(str(tmp_path / "1")))
    tables = []
    for threads in (1, 3):
        (out := tmp_path / str(threads)).mkdir()
        job = worker.Job(str(out), None, generation=1, rows=4, threads=threads)
        assert worker.Worker(job, encoder).do(listed) == worker.Done(9, 0)
        tables.append(rows(out))
        assert len(parts.part_names(place(str(out)))) == 3
    assert tables[0] == tables[1] and len(tables[0]) == 9


def test_a_worker_that_is_stopped_writes_no_more(tmp_path: Path, encoder: ColourEncoder) -> None:
    for number in range(9):
        paint(tmp_path / "P" / f"{number}.jpg", (20 * number, 40, 90))
    (out := tmp_path / "out").mkdir()
    listed = sources.unfinished(sources.manifest(str(tmp_path / "P")), place(str(out)))
    made = worker.Worker(worker.Job(str(out), None, generation=1, rows=4), encoder)
    encode = encoder.embed_pictures

    def interrupted(pixels: Any) -> Any:
        if encoder.pictures == 6:  # in the second part
            made.stop()
        return encode(pixels)

    encoder.embed_pictures = interrupted  # type: ignore[method-assign]
    assert made.do(listed) == worker.Done()
    assert len(rows(out)) == 4 and made.do(listed) == worker.Done()
    assert embed(tmp_path / "P", out, encoder).embedded == 5


# --- other file systems -------------------------------------------------------------------------


def test_from_and_to_a_file_system_of_fsspec(tmp_path: Path, encoder: ColourEncoder) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/deep/a.jpg", picture("red", tmp_path))
    memory.pipe("/bucket/b?c#d.jpg", picture("blue", tmp_path))
    memory.pipe("/bucket/broken.jpg", b"\xff\xd8\xff")
    memory.pipe("/bucket/readme.md", b"text")
    try:
        made = embed("memory://bucket", "memory://vectors/set", encoder)
        assert (made.embedded, made.failed) == (3, 1)
        found = rows("memory://vectors/set")
        assert {uri.rpartition("/")[2] for uri in found} == {"a.jpg", "b?c#d.jpg", "broken.jpg"}
        assert embed("memory://bucket", "memory://vectors/set", encoder).embedded == 0
        memory.pipe("/bucket/deep/a.jpg", picture("green", tmp_path))
        assert embed("memory://bucket", "memory://vectors/set", encoder).embedded == 1
    finally:
        memory.rm("/bucket", recursive=True)
        memory.rm("/vectors", recursive=True)


# --- clip-retrieval -----------------------------------------------------------------------------


def test_the_layout_of_clip_retrieval(folder: Path, tmp_path: Path, encoder: ColourEncoder) -> None:
    out = tmp_path / "out"
    embed(folder, out, encoder, layout="clip-retrieval", rows=2)
    assert [path.name for path in sorted((out / "img_emb").iterdir())] == ["img_emb_0.npy"]
    vectors = np.load(out / "img_emb" / "img_emb_0.npy")
    paths = pq.read_table(out / "metadata" / "metadata_0.parquet")["image_path"].to_pylist()
    assert vectors.shape == (4, 4) and vectors.dtype == np.float16 and len(paths) == 4
    found = rows(out)
    assert all(
        bits(found[uri]["embedding"]) == bits(vector)
        for uri, vector in zip(paths, vectors, strict=True)
    )
    for number in range(8):
        paint(folder / f"more{number}.jpg", (number, 99, 99))
    embed(folder, out, encoder, layout="clip-retrieval")
    assert len(np.load(out / "img_emb" / "img_emb_0.npy")) == 12
    assert clip_retrieval.write(place(str(out)), rows=1) == 12
    names = [path.name for path in sorted((out / "img_emb").iterdir())]
    assert names == [f"img_emb_{number:02}.npy" for number in range(12)]
    assert len([*(out / "metadata").iterdir()]) == 12


def test_files_of_clip_retrieval_itself_are_not_overwritten(
    folder: Path, tmp_path: Path, encoder: ColourEncoder
) -> None:
    own = tmp_path / "out" / "img_emb" / "img_emb_0.npy"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"theirs")
    with pytest.raises(UserError, match="zeroshelf didn't write"):
        embed(folder, tmp_path / "out", encoder, layout="clip-retrieval")
    assert own.read_bytes() == b"theirs"


# --- mistakes and the command -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"engine": "spark"}, "engine"),
        ({"layout": "csv"}, "layout"),
        ({"workers": 0}, "workers"),
        ({"rows": 0}, "rows"),
        ({"rows": "many"}, "rows"),
        ({"endpoint": 3}, "endpoint"),
        ({"engine": "ray"}, "encoder is for the local engine"),
    ],
)
def test_wrong_arguments_are_refused(
    folder: Path, tmp_path: Path, encoder: ColourEncoder, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ArgumentError, match=said):
        embed(folder, tmp_path / "out", encoder, **given)
    assert not (tmp_path / "out").exists()


def test_sources_that_can_not_be_used(tmp_path: Path, encoder: ColourEncoder) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("text")
    pq.write_table(pa.table({"path": ["a"]}), tmp_path / "table.parquet")
    (tmp_path / "fake.parquet").write_text("text")
    for name, said in {
        "missing": "doesn't exist",
        "empty": "no pictures",
        "text": "no pictures",
        "table.parquet": "neither a manifest",
        "fake.parquet": "no Parquet file",
    }.items():
        with pytest.raises(UserError, match=said) as refused:
            embed(tmp_path / name, tmp_path / "out", encoder)
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_can_not_be_written(
    folder: Path, tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match=r"can't be (written|read|listed)"):
        embed(folder, tmp_path / "out", encoder)

    def full(self: Place, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Place, "write", full)
    with pytest.raises(UserError, match="No space left"):
        embed(folder, tmp_path / "other", encoder)


def test_the_command(
    folder: Path, tmp_path: Path, colours: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert command("embed", folder, "--out", out, "--json", "--rows", 2) == 1  # one is broken
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "out": str(out), "model": "colours", "embedded": 4, "failed": 1, "earlier": 0,
    }  # fmt: skip
    assert command("embed", folder, "--out", out) == 0
    assert "0 pictures embedded (earlier: 5)" in capsys.readouterr().out
    assert command("embed", folder) == 2
    assert command("embed", tmp_path / "none", "--out", out) == 2


def test_without_pyarrow_the_message_says_how_to_install_it(
    folder: Path, tmp_path: Path, colours: None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert command("embed", folder, "--out", tmp_path / "out") == 2
    assert 'pip install "zeroshelf[parquet]"' in capsys.readouterr().err


def test_the_rows_as_tables(folder: Path, tmp_path: Path, encoder: ColourEncoder) -> None:
    made = embed(folder, tmp_path / "out", encoder, rows=2)
    tables = [*made.tables(["uri", "embedding"])]
    assert [table.column_names for table in tables] == [["uri", "embedding"]] * 3
    vectors: list[npt.NDArray[np.float16]] = [parts.vectors(table) for table in tables]
    assert np.concatenate(vectors).shape == (5, encoder.model.dim)
