"""The command line as a user meets it: exit codes, streams, one-line errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.colours import BLUE, GREY, RED, ColourEncoder, paint
from tests.program import command
from zeroshelf.actions import kinds
from zeroshelf.actions.tags import sidecars
from zeroshelf.commands import cli
from zeroshelf.errors import printable
from zeroshelf.labels import labels_file
from zeroshelf.models import calibrations
from zeroshelf.records import Calibration
from zeroshelf.review.session import Session
from zeroshelf.run import reopen
from zeroshelf.runs import registry

pytestmark = pytest.mark.usefixtures("colours")


def test_sort_copies_and_says_where_everything_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = command("sort", folder, "-l", "red", "-l", "blue", "--to", tmp_path / "s", "--yes")
    said, trouble = capsys.readouterr()
    assert code == 1  # one picture is broken
    assert "Model: colours, on CPU" in said
    assert "skipped broken.jpg" in trouble and "report.html" in said and "zeroshelf undo" in said
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == ["blue", "other", "red"]
    assert command("undo", "--yes") == 0
    assert not (tmp_path / "s").exists()


def test_each_picture_is_told_with_how_sure_it_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("sort", folder, "-l", "red", "-l", "blue", "--to", tmp_path / "s", "-n", "-v")
    assert f"{folder / 'b.png'}: blue, sure, 100 % (looks like blue)\n" in capsys.readouterr().out


def test_a_label_in_another_language_is_warned_of_once(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("sort", folder, "-l", "Katze", "-l", "Hündin", "--to", tmp_path / "s", "-n")
    said, trouble = capsys.readouterr()
    assert "English only" not in said
    assert trouble.count("English only") == 2  # a line each: they are strange in other ways


def test_json_is_one_object_on_stdout(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("sort", folder, "--label", "red", "--to", tmp_path / "s", "--yes", "--json")
    given = json.loads(capsys.readouterr().out)
    assert given["counts"] == {"red": 2, "other": 2, "skipped": 1}
    assert given["skipped"] == 1
    rows = [json.loads(line) for line in Path(given["results"]).read_text().splitlines()]
    assert (given["model"], given["device"]) == ("colours", "cpu")
    assert '"model": "colours on CPU"' in Path(given["report"]).read_text()
    assert {"path", "label", "top_label", "probability", "margin", "reason"} <= rows[0].keys()
    assert [row["label"] for row in rows if row["path"].endswith("broken.jpg")] == [None]
    assert Path(given["report"]).is_file()


def test_a_dry_run_writes_nothing(
    folder: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert command("sort", folder, "-l", "red", "--to", tmp_path / "s", "--dry-run", "--json") == 1
    given = json.loads(capsys.readouterr().out)
    assert (given["run"], given["report"], given["results"]) == (None, None, None)
    assert sorted(tmp_path.rglob("*")) == before
    assert [path.name for path in home.iterdir()] == ["cache"]


def test_plan_then_apply_then_undo(folder: Path, tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "c.png", BLUE)
    (folder / "broken.jpg").unlink()
    assert command("plan", folder, "-l", "blue", "--to", tmp_path / "s", "--as", "move") == 0
    assert not (tmp_path / "s").exists()
    assert command("apply", "--yes") == 0
    assert not (folder / "c.png").exists()
    assert command("runs") == 0
    assert command("report") == 0
    assert command("undo", "--yes") == 0
    assert (folder / "c.png").exists()


def test_sorting_again_finds_the_copies_there(folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        command("sort", folder, "-l", "red", "--to", tmp_path / "s", "--yes")
        assert sorted(p.name for p in (tmp_path / "s" / "red").iterdir()) == [
            "a (2).jpg",
            "a.jpg",
        ]


def test_its_own_output_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint(tmp_path / "a.png", RED)
    paint(tmp_path / "b.png", GREY)
    for to in ("first", "second", "first"):
        command("sort", tmp_path, "-l", "red", "--to", tmp_path / to, "--yes", "--json")
        assert json.loads(capsys.readouterr().out)["counts"] == {"red": 1, "other": 1, "skipped": 0}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["sort", "NOPE", "-l", "cat", "--to", "s", "--yes"], "NOPE"),
        (["sort", "F", "--to", "s", "--yes"], "no labels"),
        (["sort", "F", "-l", "cat", "--yes"], "--to"),
        (["sort", "F", "-l", "cat", "--to", "s"], "--yes"),
        (["sort", "F", "-l", "cat", "-l", "cat", "--to", "s", "--yes"], "cat"),
        (["sort", "F", "-l", "", "--to", "s", "--yes"], "label"),
        (["sort", "F", "--labels", "nope.toml", "--to", "s", "--yes"], "nope.toml"),
        (["sort", "F", "-l", "cat", "--to", "s", "--as", "teleport", "--yes"], "teleport"),
        (["sort", "F", "-l", "cat", "--to", "file.txt", "--yes"], "file.txt"),
        (["sort", "empty", "-l", "cat", "--to", "s", "--yes"], "no pictures"),
        (["sort", "file.txt", "-l", "cat", "--to", "s", "--yes"], "file.txt"),
        (["undo", "--yes"], "no run"),
        (["apply", "nonsense", "--yes"], "nonsense"),
        (["report"], "no run"),
        (["frobnicate"], "frobnicate"),
        (["sort", "F", "--frobnicate"], "frobnicate"),
    ],
)
def test_a_mistake_is_a_line_that_says_what_to_do(
    words: list[str],
    hint: str,
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "F" / "a.png", RED)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("text")
    before = sorted(tmp_path.rglob("*"))
    assert command(*words) == 2
    complaint = capsys.readouterr().err
    assert hint in complaint and "Traceback" not in complaint
    assert complaint.count("\n") <= 2
    assert sorted(tmp_path.rglob("*")) == before
    assert not list(registry.all())


def test_a_bug_leaves_its_traceback_in_a_file(
    folder: Path,
    tmp_path: Path,
    encoder: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug for the test")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(encoder, "embed_pictures", fail)
    assert command("sort", folder, "-l", "red", "--to", tmp_path / "s", "--yes") == 3
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and "ZeroDivisionError" in complaint
    assert "Traceback" in Path(complaint.split()[-1]).read_text()


def test_interrupted_is_130(
    folder: Path, tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(encoder, "embed_pictures", stop)
    assert command("sort", folder, "-l", "red", "--to", tmp_path / "s", "--yes") == 130
    assert not (tmp_path / "s").exists()


def test_hostile_names_can_not_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\nc\u202e") == "a\\x1b[2Jb\\nc\\u202e"
    assert printable("Käse 日本 🎉 e\u0301") == "Käse 日本 🎉 e\u0301"
    assert printable(b"a\xff".decode("utf-8", "surrogateescape")) == "a\\udcff"


def test_help_imports_nothing_heavy() -> None:
    probe = (
        "import sys; from zeroshelf.commands import cli; cli.main(['--help']); "
        "heavy = {'numpy', 'PIL', 'onnxruntime', 'rich', 'blake3'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sort" in done.stdout


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_exists_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(name, "--help") == 0
    assert "Usage" in capsys.readouterr().out


def test_every_action_has_its_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sort", "--help"]) == 0
    choices = f"[{'|'.join(kinds.offered())}]"
    assert choices in re.sub(r"\s", "", capsys.readouterr().out)
    assert kinds.plannable() == (*kinds.offered(), "untag")


def test_tags_need_no_destination(folder: Path, tmp_path: Path) -> None:
    assert command("sort", folder, "-l", "blue", "--as", "tag", "--yes", "--prefix", "auto") == 1
    assert "auto/blue" in (folder / "b.png.xmp").read_text()
    assert command("undo", "--yes") == 0
    assert not (folder / "b.png.xmp").exists()


def test_tags_are_taken_away_again(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command("sort", folder, "-l", "blue", "--as", "tag", "--yes", "--prefix", "auto")
    tagged = (folder / "b.png.xmp").read_bytes()
    capsys.readouterr()
    assert command("untag", folder) == 2
    assert "--yes" in capsys.readouterr().err
    assert command("untag", folder, "--prefix", "auto", "--dry-run") == 0
    assert "b.png.xmp" in capsys.readouterr().out
    assert command("untag", folder, "--yes") == 0  # another prefix: nothing to do
    assert (folder / "b.png.xmp").read_bytes() == tagged
    assert command("untag", folder, "--prefix", "/", "--yes") == 2
    assert command("untag", folder, "--prefix", "auto", "--yes") == 0
    assert not (folder / "b.png.xmp").exists()
    assert command("undo", "--yes") == 0
    assert (folder / "b.png.xmp").read_bytes() == tagged
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert command("untag", folder, "--prefix", "auto") == 0
    assert (folder / "b.png.xmp").read_bytes() == tagged
    assert command("apply", "--yes") == 0
    assert not (folder / "b.png.xmp").exists()


def test_ambiguous_pictures_are_set_apart(
    tmp_path: Path, encoder: ColourEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "F" / "red.png", RED)  # for this model "red" and "red car" are the same
    paint(tmp_path / "F" / "blue.png", BLUE)
    labels = ("-l", "red", "-l", "red car", "-l", "blue")
    words = ("sort", tmp_path / "F", *labels, "--to", tmp_path / "s", "--yes")
    assert command(*words, "--ambiguous", "look again") == 0
    assert [p.name for p in (tmp_path / "s" / "look again").iterdir()] == ["red.png"]
    assert [p.name for p in (tmp_path / "s" / "blue").iterdir()] == ["blue.png"]
    assert '1 fits two labels about equally: it goes to "look again"' in capsys.readouterr().err
    assert command(*words, "--ambiguous", "../out") == 2
    assert "write plain names between slashes" in capsys.readouterr().err
    for taken in ("Red", "Other"):  # as these folders would be one on many file systems
        assert command(*words, "--ambiguous", taken) == 2
        assert f"{taken!r} is the shelf of {taken.lower()!r} already" in capsys.readouterr().err
    assert command("undo", "--yes") == 0
    with Session(reopen(encoder=encoder)) as session:
        session.place([0], "red")
        labels_of = {os.path.basename(a.source): a.label for a in session.plan().actions}
        assert labels_of == {"blue.png": "red", "red.png": "look again"}  # an edit keeps the rest


def test_an_edit_keeps_what_goes_on_several_shelves(tmp_path: Path, encoder: ColourEncoder) -> None:
    calibrations.store(encoder.model, Calibration(ood_threshold=1.0, origin="measured"))
    paint(tmp_path / "F" / "red.png", RED)
    paint(tmp_path / "F" / "blue.png", BLUE)
    labels = ("-l", "red", "-l", "red car", "-l", "blue")
    assert command("plan", tmp_path / "F", *labels, "--several", "--to", tmp_path / "s") == 0
    with Session(reopen(encoder=encoder)) as session:
        session.place([0], "red car")
        found = sorted((os.path.basename(a.source), a.label) for a in session.plan().actions)
    assert found[-2:] == [("red.png", "red"), ("red.png", "red car")]


def test_a_picture_goes_on_every_shelf_that_it_fits(tmp_path: Path, encoder: ColourEncoder) -> None:
    calibrations.store(encoder.model, Calibration(ood_threshold=27.0, origin="measured"))
    paint(tmp_path / "F" / "red.png", RED)
    paint(tmp_path / "F" / "blue.png", BLUE)
    labels = ("-l", "red", "-l", "red car", "-l", "blue")
    sorted_ = ("sort", tmp_path / "F", *labels, "--several", "--yes")
    assert command(*sorted_, "--to", tmp_path / "s") == 0
    found = {str(path.relative_to(tmp_path / "s")) for path in (tmp_path / "s").rglob("*.png")}
    assert found == {"red/red.png", "red car/red.png", "blue/blue.png"}
    rows = [json.loads(line) for line in results_of_the_newest().splitlines()]
    also = {os.path.basename(row["path"]): row["also"] for row in rows}
    assert also == {"blue.png": [], "red.png": ["red car"]}
    assert all(os.path.basename(os.path.dirname(row["target"])) == row["label"] for row in rows)
    assert command("undo", "--yes") == 0
    assert not (tmp_path / "s").exists()
    assert command(*sorted_, "--to", tmp_path / "s", "--as", "move") == 2
    assert command(*sorted_, "--as", "tag") == 0
    sidecar = (tmp_path / "F" / "red.png.xmp").read_bytes()
    assert sidecars.tags(sidecar) == {"zeroshelf/red", "zeroshelf/red car"}
    assert command(*sorted_, "--as", "tag") == 0  # they are there: nothing to do
    assert (tmp_path / "F" / "red.png.xmp").read_bytes() == sidecar
    assert command("undo", "--yes") == 0  # of the last run that did something
    assert not (tmp_path / "F" / "red.png.xmp").exists()


def test_quiet_still_says_what_went_wrong(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("plan", folder, "-l", "red", "--to", tmp_path / "s", "--quiet") == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("zeroshelf: skipped broken.jpg: ")
    (folder / "b.png").unlink()
    assert command("apply", "--yes", "--quiet") == 1
    said = capsys.readouterr()
    assert said.out == "" and "b.png: it no longer exists" in said.err


def test_labels_that_spoil_a_run_are_told_before_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = (
        "zeroshelf: red and red car: the model can hardly tell them apart; "
        "`zeroshelf labels check` says what helps\n"
    )
    words = ("plan", folder, "-l", "red", "-l", "red car", "-l", "blue", "--to", tmp_path / "s")
    command(*words)
    said = capsys.readouterr()
    assert line in said.err and "tell them apart" not in said.out
    assert "tell them apart" in Path(registry.find(None).record, "report.html").read_text()
    command(*words, "--json")
    said = capsys.readouterr()
    assert line in said.err and "tell them apart" not in said.out
    command(*words, "--quiet")
    assert "tell them apart" not in capsys.readouterr().err
    command("plan", folder, *(f"-lred {n}" for n in range(4)), "--to", tmp_path / "s")
    told = capsys.readouterr().err
    assert told.count("tell them apart") == 3 and "and 3 more about these labels" in told
    command("plan", folder, "-l", "red", "-l", "blue", "--to", tmp_path / "s")
    assert "tell them apart" not in capsys.readouterr().err


def test_options_that_contradict_each_other(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tagging = ("sort", folder, "-l", "blue", "--as", "tag", "--yes")
    assert command(*tagging, "--to", tmp_path / "s") == 2
    assert "leave --to out" in capsys.readouterr().err
    assert command(*tagging, "--prefix", "") == 2  # untag could never tell these tags again
    assert "the prefix is empty" in capsys.readouterr().err
    copying = ("sort", folder, "-l", "blue", "--to", tmp_path / "s", "--yes")
    assert command(*copying, "--prefix", "auto") == 2
    assert "--as tag" in capsys.readouterr().err


def test_what_untag_cannot_read_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.xmp").write_text("no XMP, but it names zeroshelf/cat")
    (folder / "c.xmp").write_text("neither XMP nor ours")
    assert command("untag", folder, "--yes") == 1
    told = capsys.readouterr().err
    assert f"left alone: {folder / 'b.xmp'}: " in told and "c.xmp" not in told


def test_an_export_of_corrections_never_takes_a_files_place(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("plan", folder, "-l", "red", "--to", tmp_path / "s")
    before = (folder / "b.png").read_bytes()
    capsys.readouterr()
    assert command("teach", "--export", folder / "b.png") == 2  # without corrections it was removed
    assert (folder / "b.png").read_bytes() == before
    assert command("teach", "--export", tmp_path / "m.jsonl", "--json") == 0
    given = json.loads(capsys.readouterr().out)
    assert (given["corrections"], given["file"]) == (0, None) and not (
        tmp_path / "m.jsonl"
    ).exists()
    assert command("teach", "--correct", "b.png", "red", "--export", tmp_path / "m.jsonl") == 0
    assert (tmp_path / "m.jsonl").exists()
    capsys.readouterr()
    assert command("teach", "--forget", "--json") == 0
    assert json.loads(capsys.readouterr().out)["corrections"] == 0


def test_teach_names_what_would_help_most(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("plan", folder, "-l", "red", "-l", "blue", "--to", tmp_path / "s")
    capsys.readouterr()
    assert command("teach", "--ask", "1", "--json") == 0
    (first,) = json.loads(capsys.readouterr().out)["ask"]
    assert command("teach", "--ask", "1") == 0
    assert first in capsys.readouterr().out.splitlines()
    assert (folder / first).is_file()
    assert command("teach", "--correct", "no-such.png", "red") == 2
    assert "no-such.png is not a picture of this run, which is of" in capsys.readouterr().err


def test_corrections_of_one_folder_are_followed_in_another(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ("-l", "red", "-l", "blue")
    command("plan", folder, *labels, "--to", tmp_path / "s")
    assert command("teach", "--correct", "b.png", "red", "--export", tmp_path / "m.jsonl") == 0
    command("teach", "--forget")
    (tmp_path / "other").mkdir()
    paint(tmp_path / "other" / "new.png", BLUE, (90, 61))
    command("plan", tmp_path / "other", *labels, "--to", tmp_path / "t")
    capsys.readouterr()
    assert command("teach", "--from", tmp_path / "m.jsonl", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["corrections"] == 1


def test_what_teach_can_not_do_together_is_refused_before_anything_is_done(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("plan", folder, "-l", "red", "--to", tmp_path / "s")
    capsys.readouterr()
    for words, says in (
        (("--forget", "--ask", "3"), "--forget and --ask"),
        (("--export", tmp_path / "m.jsonl", "--ask", "3"), "--export and --ask"),
        (("--forget", "--correct", "b.png", "red"), "leave --correct"),
        (("--correct", "b.png", "red", "--correct", "b.png", "grey"), "no shelf 'grey'"),
    ):
        assert command("teach", *words) == 2
        assert says in capsys.readouterr().err
    assert command("teach", "--json") == 0
    assert json.loads(capsys.readouterr().out)["corrections"] == 0


def test_options_of_a_group_are_not_ignored(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("plan", folder, "-l", "red", "--to", tmp_path / "s")
    capsys.readouterr()
    assert command("runs", "--json", "prune", "--yes") == 2
    assert "zeroshelf runs prune" in capsys.readouterr().err
    assert command("runs", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 1


def test_suggest_asks_for_a_place_first_and_names_what_it_skips(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("suggest", folder, "--to", tmp_path / "none" / "labels.toml") == 2
    said = capsys.readouterr()
    assert said.out == "" and "labels.toml can't be written" in said.err
    assert command("suggest", folder) == 1
    assert "skipped broken.jpg: " in capsys.readouterr().err


def test_suggest_says_which_names_are_guesses(
    tmp_path: Path,
    colours: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from zeroshelf.labels import suggest

    found = (suggest.Shelf("cat", (0,), ()), suggest.Shelf("furnace", (1,), (), 0.01))
    monkeypatch.setattr(suggest, "suggest", lambda *_, **__: found)
    paint(tmp_path / "F" / "a.jpg", RED)
    paint(tmp_path / "F" / "b.jpg", BLUE)
    assert command("suggest", tmp_path / "F", "--to", tmp_path / "labels.toml") == 0
    said = capsys.readouterr().out
    assert "perhaps furnace" in said and "perhaps cat" not in said and "is a guess" in said
    first, *rest = (tmp_path / "labels.toml").read_text().splitlines()
    assert first == "# guesses, to be looked at: furnace" and '"furnace" = []' in rest
    assert labels_file.read(tmp_path / "labels.toml").names == ("cat", "furnace")
    assert command("suggest", tmp_path / "F", "--json") == 0
    assert json.loads(capsys.readouterr().out)["guesses"] == ["furnace"]


def test_a_broken_record_is_no_bug(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("plan", folder, "-l", "red", "--to", tmp_path / "s")
    record = Path(registry.find(None).record)
    plan = (record / "plan.jsonl").read_text()
    (record / "plan.jsonl").write_text(plan.replace('"target": "', '"target": "\\u0000'))
    assert command("apply", "--yes") == 2
    assert "is not a path" in capsys.readouterr().err
    (record / "plan.jsonl").write_text(plan)
    (record / "results.jsonl").write_text("{\n")
    assert command("teach") == 2
    (record / "results.jsonl").unlink()
    assert command("teach") == 2


def test_an_empty_name_is_not_the_current_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ("sort", "", "-l", "red", "--to", tmp_path / "s", "--yes"),
        ("sort", folder, "-l", "red", "--to", "", "--yes"),
        ("untag", "", "--yes"),
        ("suggest", ""),
    ):
        assert command(*words) == 2
        assert "name is empty" in capsys.readouterr().err


def test_a_file_on_the_way_to_the_shelves_is_seen_first(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("sort", folder, "-l", "red", "--yes", "--to")
    assert command(*words, folder / "b.png" / "sorted") == 2
    assert "b.png is not a folder" in capsys.readouterr().err
    assert command(*words, tmp_path / "s", "--exclude", "*") == 2
    assert "left out" in capsys.readouterr().err


def test_where_nothing_can_be_suggested_no_file_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "F" / "red.png", RED)
    assert command("suggest", tmp_path / "F", "--to", tmp_path / "labels.toml") == 0
    said = capsys.readouterr().out
    assert "name labels yourself" in said
    assert "for example" not in said  # no table without rows
    assert not (tmp_path / "labels.toml").exists()


def results_of_the_newest() -> str:
    return Path(registry.find(None).record, "results.jsonl").read_text("ascii")


def test_option_names_of_0_1_0_still_work(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("plan", folder, "-l", "red", "--to", tmp_path / "s")
    assert command(*words) == command(*words, "--no-corrections") == command(*words, "--no-marks")
    capsys.readouterr()
    name = next(path.name for path in folder.glob("*.png"))
    assert command("teach", "--mark", folder / name, "red", "--json", "--yes") == 0
    assert json.loads(capsys.readouterr().out)["corrections"] == 1
    assert command("teach", "--help") == 0 and command("sort", "--help") == 0
    assert "mark" not in capsys.readouterr().out


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "NaN"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("sort", "P", "-l", "red", "--to", "S", "--threshold"),
        ("search", "red", "P", "--least"),
        ("watch", "P", "-l", "red", "--to", "S", "--once", "--settle"),
        ("watch", "P", "-l", "red", "--to", "S", "--once", "--every"),
    ],
    ids=lambda arguments: arguments[-1],
)
def test_what_is_no_number_is_refused(
    arguments: tuple[str, ...], number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*arguments, number]) == 2
    assert f"Invalid value for '{arguments[-1]}'" in capsys.readouterr().err
