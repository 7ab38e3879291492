"""A run compared with the truth: `Run.evaluate`, `zeroshelf evaluate`, its page and its data."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zeroshelf
from tests.colours import BLUE, GREEN, GREY, RED, ColourEncoder, paint
from tests.program import command
from zeroshelf.decisions.evaluate import LabelResult
from zeroshelf.errors import UserError
from zeroshelf.records import OTHER
from zeroshelf.runs.truth import read

TRUTH = {"a.jpg": "red", "deep/a.jpg": ["rose", "red"], "b.png": "red", "grey.jpg": "fog"}


@pytest.fixture
def run(folder: Path, encoder: ColourEncoder) -> zeroshelf.Run:
    return zeroshelf.classify(folder, ["red", "blue"], encoder=encoder)


def test_what_is_right(run: zeroshelf.Run) -> None:
    found = run.evaluate(TRUTH)
    assert (found.pictures, found.accuracy, found.label_accuracy) == (4, 0.75, 2 / 3)
    assert found.other_accuracy == 1.0 and found.harmonic_mean == pytest.approx(0.8)
    assert found.names == ("red", "blue", OTHER)
    assert found.confusion.tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert found.labels["red"] == LabelResult(3, 2, 1.0, 2 / 3)
    assert found.labels["blue"] == LabelResult(0, 1, 0.0, None)
    assert [run.decisions[row].picture.path[-5:] for row in found.wrong] == ["b.png"]
    assert found.rows == (0, 1, 2, 3) and sorted(found.truth) == [OTHER, "red", "red", "red"]
    assert found.confidences is not None
    tally = {word: one.decisions for word, one in found.confidences.items()}
    by_word = [one.confidence for one in run.decisions]
    assert tally == {word: by_word.count(word) for word in ("sure", "likely", "unsure")}
    sure = [row not in found.wrong for row in found.rows if by_word[row] == "sure"]
    assert found.sure_accuracy == (np.mean(sure) if sure else None)


def test_by_threshold(run: zeroshelf.Run) -> None:
    """At 0 every picture is on a shelf; at the highest the surest alone, or none."""
    found = run.evaluate(TRUTH).thresholds
    assert [one.threshold for one in found] == sorted({one.threshold for one in found})
    assert found[0].kept == 4 and found[0].other_accuracy == 0.0
    assert (found[0].precision, found[0].recall) == (0.5, 2 / 3)
    for low, high in itertools.pairwise(found):
        assert low.kept >= high.kept
    best = run.decisions.probabilities[:, :-1].max(axis=1)
    for one in found:
        assert one.kept == int((best >= one.threshold).sum())
        assert sum(each.pictures for each in one.labels.values()) == 4
    moved = run.correct({"grey.jpg": OTHER}).evaluate(TRUTH).thresholds[0]
    assert moved.other_accuracy == 1.0  # what the user put there stays


def test_nothing_and_mistakes(run: zeroshelf.Run) -> None:
    nothing = run.evaluate({})
    assert nothing.accuracy is None and nothing.pictures == 0 and nothing.wrong == ()
    assert nothing.thresholds[0].precision is None and nothing.calibration_error is None
    for wrong, says in (({"x.jpg": "red"}, "is no picture"), ({"a.jpg": []}, "names no label")):
        with pytest.raises(UserError, match=says):
            run.evaluate(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "a.jpg,cat\nb.jpg,cat;dog\n",
        "\ufeffpath,label\r\na.jpg,cat\r\n\r\nb.jpg,cat; dog;\r\n",
        'nr,Labels,probability,Path\n1,cat,.5,a.jpg\n2,"cat;dog",.5,b.jpg\n',
    ],
)
def test_a_truth_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    assert read(str(tmp_path / "t.csv")) == {"a.jpg": ("cat",), "b.jpg": ("cat", "dog")}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", [["path", "label"], ["Nr", "Truth", "Picture"], None])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_truth_is_read_as_spreadsheets_write_it(
    tmp_path: Path, encoding: str, delimiter: str, header: list[str] | None, end: str
) -> None:
    truth = {"Käse, alt/a 1.jpg": ("cat",), "b;c.jpg": ("cat", "Hund"), "日本.jpg": ("other",)}
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    if header is not None:
        writer.writerow(header)
    for number, (path, names) in enumerate(truth.items()):
        cells = [path, ";".join(names)]
        writer.writerow([number, *reversed(cells)] if header and header[0] == "Nr" else cells)
    (tmp_path / "t.csv").write_bytes(out.getvalue().encode(encoding))
    assert read(str(tmp_path / "t.csv")) == truth


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.jpg,cat;dog\nb.jpg,cat;dog\n", {"a.jpg": ("cat", "dog"), "b.jpg": ("cat", "dog")}),
        ("Smith, Ann/a.jpg;cat\n", {"Smith, Ann/a.jpg": ("cat",)}),
        ("a.jpg;cat\n", {"a.jpg": ("cat",)}),
        ("sep=;\r\na,b;cat\r\n", {"a,b": ("cat",)}),
        ('"sep=|"\npath|label\na.jpg|cat\n', {"a.jpg": ("cat",)}),
        ("a.jpg,cat\rb.jpg,dog\r", {"a.jpg": ("cat",), "b.jpg": ("dog",)}),
        ("path,label\na.jpg,cat\nb.jpg,\n", {"a.jpg": ("cat",)}),  # b.jpg is not known yet
        ("caf\udce9.jpg,cat\n", {"caf\udce9.jpg": ("cat",)}),  # a path of other bytes, as on Linux
    ],
)
def test_the_delimiter_is_found(
    tmp_path: Path, text: str, found: dict[str, tuple[str, ...]]
) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read(str(tmp_path / "t.csv")) == found


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no row"),
        (b"path,label\n", "has no row"),
        (b"path,label\na.jpg,\n", "has no row"),
        (b"path,label\n,cat\n", "row 2: no path"),
        (b"a.jpg\n", "row 1: no label"),
        (b"a.jpg," + b"x" * 200_000, "is no CSV file"),
        (b"a.jpg,cat\n,cat\n", "row 2: no path"),
        (b"a.jpg;\n", "row 1: no label"),
        (b"sep=;\na.jpg,cat\n", "row 2: no label"),
        (b"a.jpg,cat,dog\n", r"row 1: 3 cells.*path,label.*cat;dog"),
        (b"a.jpg;cat;dog\n", r"row 1: 3 cells"),
        (b"a.jpg,K\xe4se\n", "row 1: the label isn't UTF-8 text; save the file as UTF-8"),
        ("a.jpg,cat\n".encode("utf-16-le"), "every other byte is 0; save it as UTF-8"),
        ("a.jpg,cat\n".encode("utf-16")[:-1], "isn't UTF-16 text"),
        (b"a.jpg, ;\n", "row 1: no label"),
        (b"a.jpg,cat\na.jpg,dog\n", "row 2: a.jpg has another label"),
        (b"a.jpg,cat\x00dog\n" + b'"' * 200_000, "CSV|no label|has another"),
    ],
)
def test_a_truth_that_is_none_is_refused_in_one_line(
    tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=says) as refused:
        read(str(tmp_path / "t.csv"))
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="can't be read"):
        read(str(tmp_path / "nowhere.csv"))


@pytest.fixture
def saved(tmp_path: Path, encoder: ColourEncoder, colours: None) -> tuple[str, str]:
    """Two runs of one folder: the second has the label green too."""
    for name, colour in (("r", RED), ("g", GREEN), ("b", BLUE), ("x", GREY)):
        paint(tmp_path / "P" / f"{name} <b>&.png", colour)
    ids = []
    for labels in (["red", "blue"], ["red", "green", "blue"]):
        run = zeroshelf.classify(tmp_path / "P", labels, encoder=encoder)
        run.save(run.plan(tmp_path / "S"))
        ids.append(run.id or "")
    return ids[0], ids[1]


def test_the_results_of_a_run_with_a_broken_picture_are_a_truth(
    folder: Path, tmp_path: Path, colours: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("plan", folder, "-l", "red", "--to", tmp_path / "S", "--json") == 1
    planned = json.loads(capsys.readouterr().out)
    assert command("evaluate", planned["run"], planned["record"] + "/results.csv") == 0
    assert "4 pictures with a known truth, of 4" in capsys.readouterr().out


def table(tmp_path: Path, *more: str) -> Path:
    rows = [("r", "Red"), ("g", "green;leaf"), ("b", "red"), ("x", "none")]
    lines = ["path,label", *(f"{name} <b>&.png,{label}" for name, label in rows), *more]
    (tmp_path / "truth.csv").write_text("\n".join(lines))
    return tmp_path / "truth.csv"


def test_the_command_and_its_data(
    tmp_path: Path, saved: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = table(tmp_path)
    assert command("evaluate", saved[0], file, "--json") == 0
    said = capsys.readouterr()
    told: dict[str, Any] = json.loads(said.out)
    assert told["pictures"] == 4 and told["accuracy"] == 0.75 and told["against"] is None
    assert told["labels"]["red"] == {"pictures": 2, "decided": 1, "precision": 1.0, "recall": 0.5}
    assert told["confusion"] == [[1, 1, 0], [0, 0, 0], [0, 0, 2]]  # green is other here
    assert [one["path"][-9:] for one in told["wrong"]] == ["b <b>&.png"[-9:]]
    assert told["unknown_labels"] == {"green": 1, "leaf": 1} and told["missing"] == []
    assert "taken for other: green (1), leaf (1)" in said.err
    assert {"sure", "likely", "unsure"} == told["confidences"].keys()
    assert told["thresholds"][0]["labels"]["red"]["pictures"] == 2
    assert command("evaluate", saved[0], table(tmp_path, "gone.png,red"), "-q") == 1
    assert command("evaluate", saved[0], tmp_path / "none.csv") == 2
    (tmp_path / "elsewhere.csv").write_text("/nowhere/a.jpg,red\n")
    assert command("evaluate", saved[0], tmp_path / "elsewhere.csv") == 2
    assert "is a picture of run" in capsys.readouterr().err


def test_paths_may_be_absolute_and_a_picture_has_one_truth(
    tmp_path: Path, saved: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "P" / "r <b>&.png"
    (tmp_path / "t.csv").write_text(f"{picture},red\n")
    assert command("evaluate", saved[0], tmp_path / "t.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0
    (tmp_path / "t.csv").write_text(f"{picture},red\n{picture.name},blue\n")
    assert command("evaluate", saved[0], tmp_path / "t.csv") == 2
    assert "named twice" in capsys.readouterr().err


def test_two_runs_are_compared(
    tmp_path: Path, saved: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_text("r <b>&.png,red\ng <b>&.png,green\nb <b>&.png,blue\n")
    first, second = saved
    assert command("evaluate", second, tmp_path / "t.csv", "--against", first, "--json") == 0
    told = json.loads(capsys.readouterr().out)["against"]
    assert told["run"] == first and told["pictures"] == 3
    assert told["first"]["accuracy"] == 1.0 and told["second"]["accuracy"] == 1.0  # green: other
    assert told["gained"] == told["lost"] == []
    (tmp_path / "t.csv").write_text("r <b>&.png,red\ng <b>&.png,other\n")
    assert command("evaluate", second, tmp_path / "t.csv", "--against", first) == 0
    said = capsys.readouterr().out
    assert f"Right in run {second} alone: 0 pictures." in said
    assert f"Right in run {first} alone: 1 picture." in said
    assert command("evaluate", second, tmp_path / "t.csv", "--against", "nosuchrun") == 2


class Tags(HTMLParser):
    """All tags with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page(
    tmp_path: Path,
    saved: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launched: list[str] = []
    monkeypatch.setattr("click.launch", launched.append)
    place = tmp_path / "page.html"
    words = ("evaluate", saved[1], table(tmp_path), "--against", saved[0])
    assert command(*words, "--html", place) == 0
    page = place.read_text(encoding="utf-8")
    found = Tags(page)
    names = {tag for tag, _ in found.tags}
    assert "script" not in names and "b" not in names  # a path is text, whatever is in it
    assert "b <b>&.png" in found.text and "Confusion matrix" in found.text
    assert all("style" not in attrs for _, attrs in found.tags)  # the policy allows none
    assert not re.search('https?:|src=.?[^d"]', page.replace('src="data:', ""))
    images = [str(attrs.get("src")) for tag, attrs in found.tags if tag == "img"]
    assert images and all(src.startswith("data:image/jpeg;base64,") for src in images)
    policies = [attrs["content"] for _, attrs in found.tags if "http-equiv" in attrs]
    assert len(policies) == 1 and str(policies[0]).startswith("default-src 'none'; style-src 'sha")
    assert "pictures are right" in found.text and not launched
    assert command(*words, "--html", place) == 2
    assert "already exists" in capsys.readouterr().err and place.read_text("utf-8") == page
    assert command(*words, "--open") == 0
    assert len(launched) == 1 and launched[0].endswith("evaluation.html")
    assert command(*words, "--open") == 0  # its own file, which is written again


def test_many_labels_get_a_list_of_confusions(tmp_path: Path, encoder: ColourEncoder) -> None:
    from zeroshelf.output import evaluation_data, evaluation_page

    paint(tmp_path / "P" / "r.png", RED)
    names = ["red", *(f"blue {at}" for at in range(50))]
    run = zeroshelf.classify(tmp_path / "P", names, encoder=encoder)
    found = run.evaluate({"r.png": "blue 7"})
    wrong = evaluation_data.wrong(run.decisions, found, run.embeddings.digests)
    page = evaluation_page.page(evaluation_page.Part("a run", (), found, wrong, {}))
    assert "Confusions" in page and "Confusion matrix" not in page
    right = evaluation_page.Part("a run", (), run.evaluate({}), (), {})
    assert "No decision is wrong." in evaluation_page.page(right)
