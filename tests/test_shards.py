"""`zeroshelf score --shards`: the pictures as WebDataset shards, a folder for each label."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import zeroshelf
from tests.colours import BLUE, GREY, RED, ColourEncoder
from tests.datasets_made import results
from tests.program import command
from tests.test_store_plan import picture
from zeroshelf.datasets import shards
from zeroshelf.datasets.places import place
from zeroshelf.system import content_hash

COLOURS = {"a": RED, "b": BLUE, "c": RED, "d": GREY, "e": RED, "f": BLUE}
LABELS = {"a": "red", "b": "blue", "c": "red", "d": "other", "e": "red", "f": "blue"}
PICTURES = {name: picture(colour, 40 + at) for at, (name, colour) in enumerate(COLOURS.items())}


def loose(folder: Path) -> None:
    for name, content in PICTURES.items():
        (folder / f"{name}.png").write_bytes(content)


def tars(folder: Path) -> None:
    for number, names in enumerate(("fbd", "eca")):  # not in the order of their names
        with tarfile.open(folder / f"{number}.tar", "w") as tar:
            for name in names:
                info = tarfile.TarInfo(f"{name}.png")
                info.size = len(PICTURES[name])
                tar.addfile(info, io.BytesIO(PICTURES[name]))


def parquet(folder: Path) -> None:
    values = [{"bytes": content, "path": None} for content in PICTURES.values()]
    many = [{"bytes": b"no picture", "path": None}] * 40  # so that "10" sorts before "9"
    pq.write_table(pa.table({"image": [*values[:3], *many, *values[3:]]}), folder / "a.parquet")


@pytest.fixture
def shard(
    tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Scores the embeddings of Photos into Results and writes shards."""
    monkeypatch.setattr("zeroshelf.datasets.score.encoder_for", lambda *given: encoder)
    (tmp_path / "Photos").mkdir()

    def run(*more: object, to: object = None, out: str = "Results", labels: str = "red") -> int:
        if not (tmp_path / "Vectors").exists():
            zeroshelf.embed_dataset(tmp_path / "Photos", tmp_path / "Vectors", encoder=encoder)
        given = ("score", tmp_path / "Vectors", "-l", labels, "-l", "blue")
        to = to or tmp_path / "Shards"
        return command(*given, "--out", tmp_path / out, "--shards", to, *more)

    return run


def members(content: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return [(one.name, tar.extractfile(one).read()) for one in tar]  # type: ignore[union-attr]


def contents(folder: Path) -> dict[str, bytes]:
    """ "red/000000.tar" -> its bytes."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*.tar"))
    }


def pictures(found: dict[str, bytes]) -> dict[str, list[bytes]]:
    """Label -> the pictures of its shards, in their order. Each has its .json behind it."""
    made: dict[str, list[bytes]] = {}
    for name, content in found.items():
        entries = members(content)
        for (image, data), (about, told) in zip(entries[::2], entries[1::2], strict=True):
            assert image.endswith(".png") and about == image.removesuffix(".png") + ".json"
            row = json.loads(told)
            assert [*row] == ["uri", "label", "probability", "confidence"]
            assert row["label"] == name.partition("/")[0] and 0 < row["probability"] <= 1
            made.setdefault(row["label"], []).append(data)
    return made


def by_label() -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for name, label in LABELS.items():
        found.setdefault(label, []).append(PICTURES[name])
    return found


@pytest.mark.parametrize("source", [loose, tars, parquet])
def test_every_picture_is_in_a_shard_of_its_label(
    source: Callable[[Path], object], shard: Callable[..., int], tmp_path: Path
) -> None:
    source(tmp_path / "Photos")
    unread = 1 if source is parquet else 0
    assert shard() == unread
    found = contents(tmp_path / "Shards")
    assert [*found] == ["blue/000000.tar", "other/000000.tar", "red/000000.tar"]
    made, wanted = pictures(found), by_label()
    assert {label: sorted(some) for label, some in made.items()} == {
        label: sorted(some) for label, some in wanted.items()
    }
    if source is not tars:  # whose members come tar by tar
        assert made == wanted
    assert all(len(content) % 10_240 == 0 for content in found.values())
    about = json.loads((tmp_path / "Shards" / "shards.json").read_text())
    assert {label: len(one["shards"]) for label, one in about["labels"].items()} == {
        "red": 1, "blue": 1, "other": 1,
    }  # fmt: skip
    rows = {row["uri"]: row for row in results(tmp_path / "Results")}
    for name, content in found.items():
        for at, (_, told) in enumerate(members(content)[1::2]):
            row = json.loads(told)
            assert rows[row["uri"]]["label"] == row["label"], (name, at)
            assert rows[row["uri"]]["probability"] == pytest.approx(row["probability"])


def test_the_same_again_writes_nothing_and_another_place_gets_the_same(
    shard: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loose(tmp_path / "Photos")
    assert shard() == 0
    before = contents(tmp_path / "Shards")
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "Shards").rglob("*.tar")}
    capfd.readouterr()
    assert shard("--json") == 0
    told = json.loads(capfd.readouterr().out)["shards"]
    assert told["shards"] == 0 and told["earlier"] == {"red": 3, "blue": 2, "other": 1}
    assert {file: file.stat().st_mtime_ns for file in times} == times
    fsspec.filesystem("memory").store.clear()
    assert shard(to="memory://shards/x") == 0
    store = fsspec.filesystem("memory")
    there = {name.removeprefix("/shards/x/"): store.cat(name) for name in store.find("/shards/x")}
    assert {name: data for name, data in there.items() if name.endswith(".tar")} == before


@pytest.mark.parametrize("after", range(5))
def test_a_kill_between_two_shards_keeps_the_first(
    shard: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    loose(tmp_path / "Photos")
    monkeypatch.setattr("zeroshelf.commands.score.MEGABYTE", 10_240)  # three or four pictures
    monkeypatch.setattr(shards, "_END", 512)
    for name, content in PICTURES.items():  # more of them
        for number in range(6):
            (tmp_path / "Photos" / f"{name}{number}.png").write_bytes(content)
    assert shard("--shard-size", 1, out="First", to=tmp_path / "Whole") == 0
    whole = contents(tmp_path / "Whole")
    assert len(whole) > 3
    finish, left = shards._Shards._finish, iter(range(after))

    class Killed(BaseException):
        pass

    def dies(self: shards._Shards) -> None:
        if next(left, None) is None:
            raise Killed
        finish(self)

    with monkeypatch.context() as patched:
        patched.setattr(shards._Shards, "_finish", dies)
        with pytest.raises(Killed):
            shard("--shard-size", 1)
    there = contents(tmp_path / "Shards")
    assert len(there) == after and there.items() <= whole.items()
    assert shard("--shard-size", 1) == 0
    assert contents(tmp_path / "Shards") == whole


def test_shards_of_something_else_are_refused(
    shard: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loose(tmp_path / "Photos")
    assert shard() == 0
    before = contents(tmp_path / "Shards")
    assert shard(out="Others", labels="green") == 2
    assert "has shards of another data set, other labels" in capfd.readouterr().err
    assert shard("--shard-size", 7) == 2
    (tmp_path / "mine" / "red").mkdir(parents=True)
    (tmp_path / "mine" / "red" / "000000.tar").write_bytes(b"mine")
    assert shard(to=tmp_path / "mine") == 2
    assert "has something in it already" in capfd.readouterr().err
    assert contents(tmp_path / "mine") == {"red/000000.tar": b"mine"}
    assert contents(tmp_path / "Shards") == before
    assert shard("--to", tmp_path / "Sorted") == 2
    assert "give one of the two" in capfd.readouterr().err


def test_a_picture_that_has_changed_is_in_no_shard(
    shard: Callable[..., int],
    tmp_path: Path,
    encoder: ColourEncoder,
    capfd: pytest.CaptureFixture[str],
) -> None:
    loose(tmp_path / "Photos")
    zeroshelf.embed_dataset(tmp_path / "Photos", tmp_path / "Vectors", encoder=encoder)
    (tmp_path / "Photos" / "a.png").write_bytes(picture(BLUE))
    (tmp_path / "Photos" / "f.png").unlink()
    assert shard() == 1
    told = capfd.readouterr().err
    assert "2 pictures are in no shard" in told and "a.png: changed since it was embedded" in told
    made = pictures(contents(tmp_path / "Shards"))
    assert made["red"] == by_label()["red"][1:] and made["blue"] == by_label()["blue"][:1]
    (tmp_path / "Photos" / "f.png").write_bytes(PICTURES["f"])  # it is back
    (tmp_path / "Photos" / "a.png").write_bytes(PICTURES["a"])
    assert shard() == 0
    made = pictures(contents(tmp_path / "Shards"))
    assert made["blue"] == by_label()["blue"] and sorted(made["red"]) == sorted(by_label()["red"])
    before = contents(tmp_path / "Shards")
    assert shard() == 0 and contents(tmp_path / "Shards") == before


def test_a_shard_is_closed_before_it_is_larger_than_asked(tmp_path: Path) -> None:
    there = place(str(tmp_path / "Shards"))
    uris = []
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(bytes([number]) * (40 << 10))
        uris.append((tmp_path / f"{number}.png").as_uri())
    digests = [content_hash.of_bytes(bytes([number]) * (40 << 10)).hex() for number in range(4)]
    rows = [(uri, "red", 0.5, "sure", one) for uri, one in zip(uris, digests, strict=True)]
    written = shards.write(rows, there, {"red": "red"}, "request", 100 << 10)
    sizes = [len(content) for content in contents(tmp_path / "Shards").values()]
    assert len(sizes) == written.shards == 2 and max(sizes) <= 100 << 10
    written = shards.write(rows, place(str(tmp_path / "small")), {"red": "red"}, "request", 1)
    assert written.shards == 4  # each is larger than asked
