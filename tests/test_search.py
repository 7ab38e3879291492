"""Search: the query, the exact scan, and the same hits by API, command and cache."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import zeroshelf as zs
from tests.colours import BLUE, GREEN, RED, ColourEncoder, paint
from tests.making import tree
from tests.program import command
from zeroshelf.decisions import before_labels
from zeroshelf.decisions.constants import REFERENCE_BASE, REFERENCE_SHARE
from zeroshelf.embeddings import cache
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import ArgumentError, UserError
from zeroshelf.records import Calibration
from zeroshelf.search import exact, find, fits, query, references
from zeroshelf.search.query import Term
from zeroshelf.search.sources import InCache

# --- the query ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "term"),
    [
        ("red car", Term("red car")),
        (" red  car ", Term("red car")),
        ("+snow", Term("snow")),
        ("-people", Term("people", -1.0)),
        ("- people", Term("people", -1.0)),
        ("2:cat", Term("cat", 2.0)),
        ("+0.5:snow", Term("snow", 0.5)),
        ("-.5: deep snow", Term("deep snow", -0.5)),
        ("16:9 screenshot", Term("16:9 screenshot")),
        ("10:30", Term("10:30")),
        ("T-shirt", Term("T-shirt")),
        ("cat:dog", Term("cat:dog")),
    ],
)
def test_a_term(written: str, term: Term) -> None:
    assert query.parse(written).terms == (term,)


@pytest.mark.parametrize(
    ("words", "image", "says"),
    [
        (None, None, "nothing to search for"),
        ("", None, "term is empty"),
        ("-", None, "term is empty"),
        ("2:", None, "term is empty"),
        ([], None, "nothing to search for"),
        ("0:cat", None, "a weight must be a number up to 1000 and not 0"),
        ("9999:cat", None, "a weight must be a number up to 1000"),
        ({"cat": float("nan")}, None, "a weight must be"),
        ({"cat": "2"}, None, "a weight must be a number, not '2'"),
        ({"cat": True}, None, "a weight must be a number, not True"),
        ({"cat": 10**400}, None, "a weight must be a number"),
        ([3], None, "each of words must be a text, not 3"),
        (3, None, "words must be a list of texts, not 3"),
        (b"cat", None, "words must be a list of texts, not b'cat'"),
        (None, 3, "image must be a list of paths, not 3"),
        (None, b"a.jpg", "image"),
        (["cat"] * 101, None, "up to 100 terms, not 101"),
    ],
)
def test_a_query_that_can_not_be_understood(words: Any, image: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        query.parse(words, image)


def test_a_query_as_text_and_as_a_name() -> None:
    made = query.parse({"dog": 2, "snow": -0.5}, "holiday/a.jpg")
    assert str(made) == "2:dog -0.5:snow +holiday/a.jpg"
    assert made.name == "2:dog -0.5:snow a.jpg"
    assert [term.text for term in made.pictures] == ["holiday/a.jpg"]
    assert query.parse(made) == made
    assert query.parse(["animals/cat"]).name == "animals cat"


def test_a_line_of_terms() -> None:
    assert query.split("red car +snow -people") == ["red car", "+snow", "-people"]
    assert query.split("T-shirt - blue salt + pepper") == ["T-shirt - blue salt + pepper"]
    assert query.split("  ") == []


# --- the exact scan -----------------------------------------------------------------------------


def vectors(count: int, dim: int = 40, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


@pytest.mark.parametrize("count", [0, 1, exact.BLOCK - 1, exact.BLOCK, 3 * exact.BLOCK + 5])
def test_cosines_are_those_of_the_widened_vectors(count: int) -> None:
    some, asked = vectors(count), vectors(3, seed=1).astype(np.float32)
    expected = some.astype(np.float32) @ asked.T
    assert np.allclose(exact.cosines(some, asked), expected, rtol=0, atol=1e-6)
    scan = exact.Scan(asked)
    for part in np.array_split(some, 7):
        scan.add(part)
    assert np.allclose(scan.cosines, expected, rtol=0, atol=1e-6)


def test_every_half_that_a_vector_may_contain_is_widened_exactly() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    halves = bits.view(np.float16)
    halves = halves[np.isfinite(halves) & (np.abs(halves) <= 1)]  # subnormal ones among them
    found = exact.cosines(halves[:, None], np.ones((1, 1), np.float32))
    assert np.array_equal(found[:, 0], halves.astype(np.float32))


def test_the_best_are_sorted_and_ties_keep_their_order() -> None:
    values = np.array([0.1, 0.5, 0.5, 0.9, 0.5, -1.0], np.float32)
    assert exact.best(values, 3).tolist() == [3, 1, 2]
    assert exact.best(values, 99).tolist() == [3, 1, 2, 4, 0, 5]
    assert exact.best(values, 0).tolist() == [] and exact.best(values[:0], 5).tolist() == []


def test_terms_count_by_their_spread() -> None:
    """A text's cosines differ less among pictures than a picture's: both are to count."""
    asked = np.eye(2, dtype=np.float32)
    values = np.array([[0.20, 0.9], [0.21, 0.1], [0.30, 0.5]], np.float32)
    combined = exact.combined(values, asked, [1.0, 1.0])
    assert combined.argmax() == 2 and np.abs(combined).max() <= 1
    assert np.array_equal(exact.combined(values[:, :1], asked[:1], [2.0]), values[:, 0])
    assert np.allclose(exact.combined(values[:, :1], asked[:1], [-2.0]), -values[:, 0])


# --- one folder, three ways ---------------------------------------------------------------------

COLOURS = {"red": RED, "green": GREEN, "blue": BLUE}


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some hundred pictures of slightly different colours, in nested folders. The cache notes them
    at once, though they were made a moment ago."""
    monkeypatch.setattr(cache, "_RACY_NS", 0)
    rng = np.random.default_rng(5)
    for number in range(150):
        name = [*COLOURS][number % 3]
        colour = np.clip(np.array(COLOURS[name]) + rng.integers(-18, 19, 3), 0, 255)
        folder = tmp_path / "album" / ("" if number % 4 else "deep/er")
        paint(folder / f"{name}-{number:03}.png", tuple(colour.tolist()))
    return tmp_path / "album"


@pytest.fixture
def index(album: Path, encoder: ColourEncoder) -> zs.Index:
    return zs.index(album, encoder=encoder)


def test_a_score_is_a_cosine_although_vectors_are_rounded(index: zs.Index) -> None:
    lengths = np.linalg.norm(index.vectors.astype(np.float32), axis=1)
    longest = int(lengths.argmax())
    assert lengths[longest] ** 2 > 1
    hits = index.search(image=index.paths[longest], top=3, fold=False)
    assert hits[0].score == 1 and all(-1 <= hit.score <= 1 for hit in hits)


def as_json(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    code = command("search", *words, "--json")
    out, err = capsys.readouterr()
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def by_api(hits: Sequence[zs.Hit]) -> list[tuple[str, float, float | None]]:
    return [(hit.path, hit.score, hit.probability) for hit in hits]


def by_command(found: dict[str, Any]) -> list[tuple[str, float, float | None]]:
    return [(hit["path"], hit["score"], hit["probability"]) for hit in found["hits"]]


@pytest.mark.parametrize(
    ("words", "asked", "limits"),
    [
        (["red"], {"words": "red"}, {}),
        (["red", "--top", "7"], {"words": "red", "top": 7}, {}),
        (["red", "-blue", "0.5:green"], {"words": ["red", "-blue", "+0.5:green"]}, {}),
        (["red", "--least", "0.5", "--top", "99"], {"words": "red", "least": 0.5, "top": 99}, {}),
        (["red", "--all"], {"words": "red", "fold": False}, {}),
        (["violin", "--least", "0.5"], {"words": "violin", "least": 0.5}, {}),
    ],
)
@pytest.mark.parametrize("judged", [10_000, 40])  # all pictures, or a sample of them
@pytest.mark.usefixtures("colours")
def test_the_command_the_api_and_the_cache_have_the_same_hits(
    words: list[str],
    asked: dict[str, Any],
    limits: dict[str, Any],
    judged: int,
    album: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(find, "WHOLE", judged)
    monkeypatch.setattr(find, "NEAREST", judged)
    monkeypatch.setattr(find, "DRAWN", judged)
    expected = by_api(zs.index(album).search(**asked))
    assert by_command(as_json(capsys, *words, album)) == expected
    if judged == 10_000:
        cached = as_json(capsys, *words, album, "--no-scan")
        assert by_command(cached) == expected
        assert as_json(capsys, *words, album)["hits"] == cached["hits"]


def test_hits_are_what_was_searched_for(index: zs.Index) -> None:
    hits = index.search("green", top=None, least=0.5, fold=False)
    assert {Path(path).name[:5] for path in hits.paths} == {"green"} and len(hits) == 50
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(index.paths[hit.row] == hit.path for hit in hits)
    assert [*index.search("violin", least=0.5)] == []
    assert len(index.search("violin")) > 0  # without `least` the nearest, whatever they are
    without = index.search(["green", "-green"], least=0.5)
    assert len(without) == 0
    other = index.search("-green", top=None, least=0.5, fold=False)
    assert len(other) == 100 and not [path for path in other.paths if "green-" in path]


def test_near_duplicates_are_one_hit(album: Path, encoder: ColourEncoder) -> None:
    first = next(iter(sorted(album.glob("red-*.png"))))
    copies = [shutil.copy(first, album / f"copy-{number}.png") for number in range(3)]
    index = zs.index(album, encoder=encoder)
    single, folded = index.search("red", top=None, fold=False), index.search("red", top=None)
    assert len(single) == len(index) == 153
    listed = [path for hit in folded for path in (hit.path, *hit.near_duplicates)]
    assert sorted(listed) == sorted(single.paths)  # none is lost, and none is there twice
    group = next(hit for hit in folded if str(first) in (hit.path, *hit.near_duplicates))
    assert {*map(str, copies)} <= {group.path, *group.near_duplicates}
    assert [len(index.search("red", top=top)) for top in (1, 2, 3, 9)] == [1, 2, 3, 3]


def test_a_picture_finds_itself_and_its_like(index: zs.Index, tmp_path: Path) -> None:
    hits = index.search(image=index.paths[0], top=3, fold=False)
    colour = Path(index.paths[0]).name.split("-")[0]
    assert colour in hits[0].path and hits[0].score == pytest.approx(1, abs=1e-3)
    assert all(hit.probability is None for hit in hits)
    outside = paint(tmp_path / "outside.png", BLUE)
    assert "blue-" in index.search(image=outside, top=1)[0].path
    away = index.search("red", image=f"-{outside}", top=1)[0]
    assert "red-" in away.path and away.probability is not None
    for wrong, says in (("nowhere.jpg", "can't be read"), (__file__, "test_search.py: ")):
        with pytest.raises(UserError, match=says):
            index.search(image=wrong)
    with pytest.raises(UserError, match="a picture alone has no probability"):
        index.search(image=outside, least=0.5)


def test_an_index_of_a_list_of_files(album: Path, encoder: ColourEncoder) -> None:
    files = sorted(album.glob("*.png"))[:6]
    (album / "text.txt").write_text("no picture")
    given = [*files, album / "text.txt", album / "missing.png", album / "deep", files[0]]
    index = zs.index(given, encoder=encoder)
    assert index.paths == [str(file) for file in files]
    reasons = {Path(one.path).name: one.reason for one in index.skipped}
    assert reasons == {
        "text.txt": "no picture", "missing.png": "the file doesn't exist",
        "deep": "a folder, not a file",
    }  # fmt: skip
    assert index.folder == str(album)
    assert len(index.classify(["red", "blue"])) == 6
    for wrong, says in (([], "no files"), ([3], "must be a path"), (3, "must be a path")):
        with pytest.raises(UserError, match=says):
            zs.index(wrong, encoder=encoder)  # type: ignore[arg-type]


def test_companions_are_found_for_a_list_of_files(tmp_path: Path, encoder: ColourEncoder) -> None:
    picture = paint(tmp_path / "a.png", RED)
    (tmp_path / "a.xmp").write_bytes(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>")
    index = zs.index([picture], encoder=encoder)
    assert index.embeddings.pictures[0].companions == (str(tmp_path / "a.xmp"),)


def test_an_index_knows_its_folder(index: zs.Index, album: Path, encoder: ColourEncoder) -> None:
    assert len(index) == len(index.paths) == 150 and index.vectors.shape == (150, 4)
    assert repr(index).startswith(f"<Index of {str(album)!r}: 150 pictures")
    run = index.classify(["red", "green"])
    same = zs.classify(album, ["red", "green"], encoder=encoder)
    assert run.counts == same.counts and np.array_equal(run.probabilities, same.probabilities)
    odd = paint(album / "odd.png", (230, 20, 230))
    wider = zs.index(album, encoder=encoder)
    assert wider.outliers(1)[0].path == str(odd)
    assert wider.outliers(0) == [] and len(wider.outliers(500)) == 151
    assert wider.suggest_labels(3)
    assert np.array_equal(wider.embed_texts(["red"])[0], encoder.embed_texts(["red"])[0])
    assert wider.embed_texts([]).shape == (0, 4)


def test_the_most_typical_of_some_pictures(tmp_path: Path, encoder: ColourEncoder) -> None:
    colours = {"red.png": RED, "darker.png": (200, 10, 10), "orange.png": (240, 150, 0)}
    paths = {name: str(paint(tmp_path / name, colour)) for name, colour in colours.items()}
    blue = paint(tmp_path / "blue.png", (10, 20, 240))
    index = zs.index(tmp_path, encoder=encoder)
    vectors = index.vectors.astype(np.float32)
    of = dict(zip(index.paths, vectors, strict=True))
    middle = sum(of[path] for path in paths.values())
    expected = sorted(paths.values(), key=lambda path: -float(of[path] @ middle))
    assert index.typical(list(paths)) == index.typical([*paths.values(), *paths]) == expected
    assert expected[-1] == paths["orange.png"]
    assert index.typical(list(paths), count=1) == expected[:1] and index.typical([]) == []
    assert len(index.typical()) == 4 and index.typical(["blue.png"]) == [str(blue)]
    for wrong, says in ((["absent.png"], "is no picture of this index"), ("a.png", "give a list")):
        with pytest.raises(UserError, match=says):
            index.typical(wrong)


def test_an_index_classifies_what_no_run_has_sorted(album: Path, encoder: ColourEncoder) -> None:
    run = zs.classify(album, ["red"], encoder=encoder)
    run.apply(run.plan(album / "sorted"))
    index = zs.index(album, encoder=encoder)
    assert len(index) == 300  # the copies too
    assert len(index.classify(["red"])) == 150


def test_a_notebook_shows_the_hits(index: zs.Index) -> None:
    hits = index.search(["<b>red</b>"], top=3)
    shown = hits._repr_html_()
    assert shown.count("<img") == 3 and "<b>red</b>" not in shown
    page = hits.page()
    assert page.startswith("<!doctype html>") and "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
    assert repr(hits) == "<3 hits for '<b>red</b>'>" and hits[:2] == hits.hits[:2]


def test_a_search_by_a_picture_shows_cosines_and_the_name_of_the_file(
    index: zs.Index, album: Path
) -> None:
    picture = next(album.glob("red-*.png"))
    hits = index.search(image=picture, top=2)
    shown = hits.show()
    assert "cosine 1.00" in shown and "%" not in re.sub(r'style="[^"]*"', "", shown)
    for text in (shown, hits.page(), repr(hits)):
        assert picture.name in text and str(album) not in text
    assert str(hits.query) == str(picture)  # the whole path, to search by again
    both = index.search(["red", "-0.5:blue"], image=picture, top=2)
    assert both.query.title == f"red -0.5:blue +{picture.name}"
    assert "%" in re.sub(r'style="[^"]*"', "", both.show()) and "cosine" not in both.show()
    unjudged = index.searcher.search(both.query, judge=False)  # as --paths --open has them
    assert "cosine" in zs.Hits(both.query, tuple(unjudged), index._sources.store).show()


def test_the_threshold_follows_the_reference_words() -> None:
    """By a part where they are above a run's threshold, wholly below it, and more in a large
    folder than in the pictures that were drawn from it."""
    calibration = Calibration(ood_threshold=-2.0, ood_temperature=2.0)

    def above(best: float, part: float = 0.0, total: int = 80) -> float:
        found = references.References(
            np.full(300, best, np.float32), np.full(300, part, np.float32), 1.0
        )
        threshold = fits.threshold_of(found, 80, total, calibration)
        return (threshold - calibration.ood_threshold) / calibration.ood_temperature

    assert above(-3.0) == pytest.approx(REFERENCE_BASE)  # with 1.0 for the prompts
    assert above(1.0) == pytest.approx(REFERENCE_BASE + 2 * REFERENCE_SHARE)
    assert above(-5.0) == pytest.approx(REFERENCE_BASE - 1)
    assert above(-50.0) == 0
    assert above(1.0, 0.0, 640) == pytest.approx(REFERENCE_BASE + 2.5 * REFERENCE_SHARE)
    assert above(1.0, 2.0, 640) == above(1.0)


@pytest.mark.parametrize("whole", [True, False])  # all pictures are judged, or a sample of them
def test_a_search_starts_from_what_an_earlier_one_kept(
    album: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    monkeypatch.setattr(before_labels, "LEAST", 30)
    for name in ("WHOLE", "NEAREST", "DRAWN"):
        monkeypatch.setattr(find, name, 10_000 if whole else 40)

    def search() -> list[tuple[str, float | None]]:
        found = zs.index(album, encoder=encoder).search("red", least=0.1, fold=False)
        return [(hit.path, hit.probability) for hit in found]

    def never(*_: object) -> None:
        raise AssertionError("computed again")

    first = search()
    with monkeypatch.context() as patched:
        patched.setattr(references._Folder, "found", never)
        if whole:
            patched.setattr(before_labels, "smoothing_of", never)
            patched.setattr(before_labels, "nearest_candidates", never)
        assert search() == first != []
    with EmbeddingCache.open() as store:
        store.prune(0)
    assert search() == first


def test_a_search_imports_nothing_that_moves_files() -> None:
    """It starts the sooner. A run is imported where it is first used."""
    script = (
        "import sys, zeroshelf.index, zeroshelf.search.find; "
        "late = {'zeroshelf.run.run', 'zeroshelf.actions', 'zeroshelf.output', 'email', 'xml'}; "
        "sys.exit(str(late & set(sys.modules)) if late & set(sys.modules) else 0)"
    )
    ran = [sys.executable, "-c", script]
    done = subprocess.run(ran, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- the command --------------------------------------------------------------------------------


@pytest.mark.usefixtures("colours")
def test_what_the_command_prints(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("search", "red", album, "--top", "2", "--all") == 0
    out, _ = capsys.readouterr()
    assert len(re.findall(r"red-\d+\.png", out)) == 2 and "88 %" in out
    assert command("search", "red", album, "--top", "2") == 0
    assert "near-duplicates)" in capsys.readouterr().out
    assert command("search", "violin", album) == 0
    assert (
        "Perhaps none of these fits violin: --least 0.5 shows only what does."
        in capsys.readouterr().out
    )
    assert command("search", "violin", album, "--as", "copy") == 2
    assert "--as needs --to" in capsys.readouterr().err
    assert command("search", "violin", album, "--least", "0.5") == 0
    assert f"Nothing in {album} fits violin" in capsys.readouterr().out
    assert command("search", "--without", "red", "--top", "1", album) == 0
    assert "red-" not in capsys.readouterr().out


@pytest.mark.usefixtures("colours")
def test_paths_for_other_programs(
    album: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = os.fsencode(album) + b"/red \xff\n.png"
    os.rename(os.fsencode(next(album.glob("red-*.png"))), odd)
    limits = ("--least", "0.5", "--top", "500", "--all")
    assert command("search", "red", album, "-0", *limits) == 0
    out, _ = capfdbinary.readouterr()
    found = out.split(b"\0")
    assert found.pop() == b"" and odd in found and len(found) == 50
    assert all(os.path.exists(path) for path in found)
    assert command("search", "red", album, "--paths", *limits) == 0
    assert capfdbinary.readouterr().out == b"".join(path + b"\n" for path in found)
    assert command("search", "violin", album, "--paths", *limits) == 0
    assert capfdbinary.readouterr().out == b""


@pytest.mark.usefixtures("colours")
def test_new_pictures_are_embedded_unless_told_otherwise(
    album: Path, encoder: ColourEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("search", "red", album, "--no-scan") == 2
    assert "the cache knows no picture in" in capsys.readouterr().err
    assert len(as_json(capsys, "blue", album, "--top", "500", "--all")["hits"]) == 150
    before = encoder.pictures
    gone = next(album.glob("blue-*.png"))
    gone.unlink()
    paint(album / "new.png", BLUE)
    cached = as_json(capsys, "blue", album, "--top", "500", "--all", "--no-scan")
    names = {Path(hit["path"]).name for hit in cached["hits"]}
    assert len(names) == 149 and gone.name not in names and "new.png" not in names
    assert encoder.pictures == before
    found = as_json(capsys, "blue", album, "--top", "500", "--all")
    assert "new.png" in {Path(hit["path"]).name for hit in found["hits"]}
    beside = album.parent / "album-2"
    shutil.copytree(album, beside)  # its path begins as the folder's does
    assert len(as_json(capsys, "blue", beside, "--top", "500", "--all")["hits"]) == 150
    cached = as_json(capsys, "blue", album, "--top", "500", "--all", "--no-scan")
    assert all(hit["path"].startswith(f"{album}{os.sep}") for hit in cached["hits"])


@pytest.mark.usefixtures("colours")
@pytest.mark.parametrize("kind", ["copy", "symlink"])
def test_hits_go_into_a_folder_and_back(
    kind: str, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(album.parent)
    to = album.parent / "found"
    words = ("red", "-blue", album, "--to", to, "--as", kind, "--top", "5", "--all")
    assert command("search", *words) == 2  # no terminal to ask in
    assert "pass --yes" in capsys.readouterr().err and tree(album.parent) == before
    result = as_json(capsys, *words, "--yes")
    made = sorted((to / "red -blue").iterdir())
    assert len(made) == 5 == result["counts"]["done"]
    assert {path.name for path in made} == {Path(hit["path"]).name for hit in result["hits"]}
    assert all(path.is_symlink() == (kind == "symlink") for path in made)
    assert as_json(capsys, *words, "--yes")["run"] is None  # they lie there already
    assert command("undo", result["run"], "--yes") == 0
    capsys.readouterr()
    assert tree(album.parent) == before
    assert zs.runs()[0].id == result["run"]


@pytest.mark.usefixtures("colours")
def test_hits_of_the_cache_go_into_a_folder_with_their_companions(
    album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    as_json(capsys, "red", album)
    picture = next(album.glob("red-*.png"))
    picture.with_suffix(".xmp").write_bytes(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>")
    to = album.parent / "found"
    as_json(capsys, "red", album, "--no-scan", "--top", "99", "--all", "--to", to, "--yes")
    assert (to / "red" / picture.with_suffix(".xmp").name).exists()


@pytest.mark.usefixtures("colours")
def test_hits_are_shown_in_the_browser(
    album: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", lambda address: opened.append(address) or 0)
    assert command("search", "red", album, "--open", "--paths", "--top", "2") == 0
    page = Path(opened[0].removeprefix("file://"))
    assert page.read_text(encoding="utf-8").count("<img") == 2
    page.unlink()


@pytest.mark.usefixtures("colours")
def test_a_word_that_is_the_path_of_a_picture_is_that_picture(
    album: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(album)
    blue = sorted(album.glob("blue-*.png"))[0].name
    (album / "red").write_text("a file of that name, which is no picture")
    by_word = as_json(capsys, blue, album, "--top", "3")
    assert by_word["hits"][0]["probability"] is None
    assert by_word["hits"] == as_json(capsys, "--like", blue, album, "--top", "3")["hits"]
    assert as_json(capsys, "red", album)["hits"][0]["probability"] > 0.5
    both = as_json(capsys, "red", f"-{blue}", album, "--top", "1")
    assert both["query"] == f"red -{blue}" and "red-" in both["hits"][0]["path"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{}"], "nothing to search for"),
        (["cat", "{}", "--paths", "--json"], "two forms of one output"),
        (["cat", "{}", "--paths", "--to", "x"], "give one of the two"),
        (["cat", "{}", "--no-scan", "--exclude", "x"], "give one of the two"),
        (["--like", "no.jpg", "{}"], "no.jpg: can't be read"),
        (["-l", "cat", "{}"], "search takes words, not labels: leave -l out"),
        (["cat", "--labels", "labels.toml", "{}"], "leave --labels out"),
        (["cat", "{}/no"], "doesn't exist"),
        (["cat", "{}", "--least", "2"], "Invalid value for '--least'"),
        (["cat", "{}", "--top", "0"], "Invalid value for '--top'"),
        (["cat", "{}", "--to", "x", "--as", "move"], "'move' is not one of 'copy', 'symlink'"),
        ([""], "FOLDER|nothing to search|folder's name is empty"),
    ],
)
@pytest.mark.usefixtures("colours")
def test_what_the_command_refuses(
    words: list[str], says: str, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("search", *(word.format(album) for word in words)) == 2
    out, err = capsys.readouterr()
    assert re.search(says, err) and len(err.splitlines()) == 1 and out == ""


def test_words_to_avoid_are_told_from_options() -> None:
    from zeroshelf.commands.search import command as search

    def parsed(*words: str) -> dict[str, Any]:
        names = ["-h", "--help"]  # kept by click for later: as the program names them
        return search.make_context("search", [*words], help_option_names=names).params

    assert parsed("dog", "-people", "F")["without"] == ("people",)
    assert parsed("dog", "F", "-qv")["without"] == ()
    assert parsed("dog", "F", "-y0")["yes"] and parsed("dog", "F", "-y0")["null"]
    assert parsed("-2:people", "dog", "F")["without"] == ("2:people",)
    assert parsed("dog", "F", "--model", "-odd-name")["model"] == "-odd-name"
    assert parsed("dog", "--", "-people", "F")["words"] == ("dog", "-people")


def test_a_damaged_chunk_is_passed_over(
    album: Path, encoder: ColourEncoder, index: zs.Index
) -> None:
    store = EmbeddingCache.open()
    zs.index(album, encoder=encoder, store=store)
    source = InCache(store, encoder.model, str(album))
    asked = encoder.embed_texts(["red"])
    assert len(source.cosines(asked)) == 150
    store._file.write(lambda db: db.execute("UPDATE chunk SET vectors = zeroblob(length(vectors))"))
    assert source.cosines(asked).shape == (0, 1) and len(source) == 0
    assert store.trouble is None
