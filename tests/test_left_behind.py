"""What a move leaves behind is named, and what comes together on a shelf belongs together."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.colours import RED, ColourEncoder, paint
from tests.making import JPEG, contents, put, xmp
from zeroshelf.actions import plan, plan_file
from zeroshelf.actions.alike_names import Kin
from zeroshelf.commands import cli
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images import scan
from zeroshelf.models import select
from zeroshelf.records import ActionKind, Plan, PlanRequest
from zeroshelf.run import classify, reopen


def planned(root: Path, to: Path, kind: ActionKind = "move", label: str = "cat") -> Plan:
    found = scan.scan(str(root), leave_out=[str(to)])
    return plan.make(
        PlanRequest(str(root), str(to), kind), ((p, label, None) for p in found.pictures)
    )


def put_deep(path: Path, content: bytes = JPEG) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, content)


def names(paths: Sequence[str]) -> list[str]:
    return [os.path.basename(path) for path in paths]


def targets(made: Plan) -> list[str]:
    return sorted(os.path.relpath(a.target, made.destination) for a in made.actions)


def test_files_that_share_a_name_are_named_where_they_stay(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "b.png", "z.jpg"):
        put_deep(tmp_path / "p" / name)
    staying = """a.html a.psd.zip ._a.jpg NKSC_PARAM/a.jpg.unknown CaptureOne/Settings/a.jpg.cos
        b.part"""
    for name in (*staying.split(), "a.xmp", "c.html", "ab.html", "NKSC_PARAM/c.jpg.nksc"):
        put_deep(tmp_path / "p" / name, b"x")
    made = planned(tmp_path / "p", tmp_path / "s")
    relative = {os.path.relpath(path, tmp_path / "p") for path in made.left_behind}
    assert relative == set(staying.split())
    (note,) = made.notes
    assert note.startswith("6 files share their name with a picture that moves, and stay: ")
    assert note.endswith(", ...")
    plan_file.save(made, str(tmp_path / "plan.jsonl"))
    assert plan_file.load(str(tmp_path / "plan.jsonl")) == made


def test_a_copy_leaves_nothing_behind(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.html"):
        put_deep(tmp_path / "p" / name)
    for kind in ("copy", "symlink", "hardlink"):
        made = planned(tmp_path / "p", tmp_path / "s", kind)
        assert not made.left_behind and not made.notes


def test_a_picture_without_more_is_moved_without_a_word(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.xmp", "notes.txt"):
        put_deep(tmp_path / "p" / name)
    made = planned(tmp_path / "p", tmp_path / "s")
    assert not made.left_behind and not made.notes


def test_two_pictures_that_share_a_file_and_part(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "a.txt"):
        put_deep(tmp_path / "p" / name, JPEG if name != "a.txt" else b"x")
    found = scan.scan(str(tmp_path / "p")).pictures
    parted = [(p, p.path[-3:], None) for p in found]
    together = [(p, "cat", None) for p in found]
    where = PlanRequest(str(tmp_path / "p"), str(tmp_path / "s"), "move")
    (note,) = plan.make(where, parted).notes
    said = "1 file is about two pictures that part, and goes with the first of them: a.txt"
    assert note == said
    assert not plan.make(where, together).notes
    put_deep(tmp_path / "s" / "cat" / "a.png", b"of another")  # it gets a number: they part too
    assert said in plan.make(where, together).notes


def test_a_run_that_sorted_a_library_still_opens(tmp_path: Path, encoder: ColourEncoder) -> None:
    """zeroshelf 0.1.0 took any folder."""
    paint(tmp_path / "p" / "a.jpg", RED)
    run = classify(tmp_path / "p", ["red"], encoder=encoder)
    run.save(run.plan(action="tag"))
    library = tmp_path / "p.photoslibrary"
    (tmp_path / "p").rename(library)
    assert run.record is not None
    for name in ("plan.jsonl", "request.json", "results.jsonl"):
        path = Path(run.record) / name
        path.write_text(path.read_text().replace(str(tmp_path / "p"), str(library)))
    assert reopen(run.id, encoder=encoder).counts == run.counts


# --- the same name from two folders ---------------------------------------------------------------


def test_a_picture_does_not_come_to_another_one_s_companions(tmp_path: Path) -> None:
    """Photo programs would show both as one, and exiftool restore the one over the other."""
    put_deep(tmp_path / "p" / "1" / "a.cr2", b"II*\0")
    put_deep(tmp_path / "p" / "1" / "a.xmp", xmp())
    put_deep(tmp_path / "p" / "2" / "a.jpg")
    put_deep(tmp_path / "p" / "3" / "a.png", JPEG + b"3")
    made = planned(tmp_path / "p", tmp_path / "s")
    assert targets(made) == ["cat/a (2).jpg", "cat/a (2).png", "cat/a.cr2", "cat/a.xmp"]


def test_pictures_of_one_name_and_nothing_more_keep_it(tmp_path: Path) -> None:
    for name in ("1/a.jpg", "2/a.png", "3/a.tif"):
        put_deep(tmp_path / "p" / name, JPEG + name.encode())
    assert targets(planned(tmp_path / "p", tmp_path / "s")) == [
        "cat/a.jpg",
        "cat/a.png",
        "cat/a.tif",
    ]


def test_a_backup_on_the_shelf_waits_for_its_own_picture(tmp_path: Path) -> None:
    put_deep(tmp_path / "s" / "cat" / "a.jpg_original", JPEG + b"of another")
    put_deep(tmp_path / "p" / "a.jpg")
    assert targets(planned(tmp_path / "p", tmp_path / "s")) == ["cat/a (2).jpg"]


def test_two_motion_photos_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """A number behind PXL_1.MP would leave both videos those of PXL_1."""
    for folder in "12":
        put_deep(tmp_path / "p" / folder / "PXL_1.MP.jpg", JPEG + folder.encode())
        put_deep(tmp_path / "p" / folder / "PXL_1.MP", b"\0\0\0\x14ftypqt  video" + folder.encode())
    made = planned(tmp_path / "p", tmp_path / "s", "copy")
    wanted = ["PXL_1 (2).MP", "PXL_1 (2).MP.jpg", "PXL_1.MP", "PXL_1.MP.jpg"]
    assert targets(made) == [f"cat/{name}" for name in wanted]
    from zeroshelf.actions import apply
    from zeroshelf.runs import registry

    apply.apply(registry.new(made)[1])
    again = planned(tmp_path / "p", tmp_path / "s", "copy")
    assert not again.actions and "already on their shelf" in again.notes[0]
    shelf = scan.scan(str(tmp_path / "s")).pictures  # each picture still has its own video
    assert [(one.path, one.companions) for one in shelf] == [
        (f"{tmp_path}/s/cat/{name}.jpg", (f"{tmp_path}/s/cat/{name}",)) for name in wanted[::2]
    ]


def test_kin() -> None:
    shelf = Kin()
    shelf.add("a.jpg", "/1")
    assert not shelf.has("a.png", "/2", False)
    assert shelf.has("a.png", "/2", True)  # it has companions
    assert not shelf.has("a.png", "/1", True)  # they lay together
    shelf.add("a.jpg.xmp", "/1")
    assert shelf.has("A.PNG", "/2", False)
    assert not shelf.has("ab.png", "/2", True)
    shelf.add("PXL_1.MP", None)
    assert shelf.has("PXL_1.MP.jpg", "/1", False)


def test_exiftool_restores_the_right_picture(tmp_path: Path) -> None:
    """Two pictures of one name, each with exiftool's backup, on one shelf."""
    exiftool = shutil.which("exiftool")
    if exiftool is None:
        pytest.skip("no exiftool")
    before = {}
    for number in (1, 2):
        path = tmp_path / "p" / str(number) / "a.jpg"
        paint(path, RED, (64 + number, 64))
        before[number] = path.read_bytes()
        subprocess.run([exiftool, "-q", "-XMP-dc:Title=new", str(path)], check=True)
    assert (tmp_path / "p" / "1" / "a.jpg_original").exists()
    from zeroshelf.actions import apply
    from zeroshelf.runs import registry

    made = planned(tmp_path / "p", tmp_path / "s")
    wanted = ["a (2).jpg", "a (2).jpg_original", "a.jpg", "a.jpg_original"]
    assert targets(made) == [f"cat/{name}" for name in wanted]
    apply.apply(registry.new(made)[1])
    shelf = tmp_path / "s" / "cat"
    everything = [exiftool, "-q", "-restore_original", str(shelf)]
    subprocess.run(everything, check=True)
    assert contents(shelf) == sorted(before.values())


# --- where it is told -----------------------------------------------------------------------------


def test_it_is_said_on_the_screen_in_json_in_the_report_and_after_reopening(
    tmp_path: Path,
    encoder: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(select, "find", lambda name=None: encoder.model)
    monkeypatch.setattr(select, "load", lambda *_, **__: encoder)
    paint(tmp_path / "p" / "a.jpg", RED)
    put(tmp_path / "p" / "a.html", b"x")
    words = ["sort", tmp_path / "p", "-l", "red", "--to", tmp_path / "s", "--as", "move"]
    note = "1 file shares its name with a picture that moves, and stays: a.html"
    assert cli.main([str(word) for word in (*words, "-n")]) == 0
    assert note in capsys.readouterr().err
    assert cli.main([str(word) for word in (*words, "-n", "--json")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["left_behind"] == [str(tmp_path / "p" / "a.html")]
    run = classify(tmp_path / "p", ["red"], encoder=encoder)
    written = run.save(run.plan(tmp_path / "s", "move"))
    assert note in Path(written.report).read_text("utf-8")
    again = reopen(run.id, encoder=encoder)
    assert again.plan(tmp_path / "s", "move").left_behind == (str(tmp_path / "p" / "a.html"),)


def test_what_was_refused_by_older_decoders_is_tried_again(
    tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By zeroshelf 0.1.0, which kept the bare reason, or before an extra was installed."""
    from zeroshelf.images.codecs import optional

    paint(tmp_path / "p" / "a.jpg", RED)
    (tmp_path / "p" / "b.jpg").write_bytes((tmp_path / "p" / "a.jpg").read_bytes()[:200])
    path = str(tmp_path / "cache" / "embeddings.sqlite")
    with EmbeddingCache.open(path) as store:
        run = classify(tmp_path / "p", ["red"], encoder=encoder, store=store)
        (skipped,) = run.skipped
        digests = [
            row[0] for row in store._file.read(lambda db: db.execute(
                "SELECT digest FROM unreadable").fetchall(), list[tuple[bytes]]())
        ]  # fmt: skip
        assert store.unreadable(digests) == {digests[0]: skipped.reason}
        monkeypatch.setattr(optional, "installed", lambda: "more than before")
        assert store.unreadable(digests) == {}
        monkeypatch.undo()
        store._file.write(
            lambda db: db.execute("UPDATE unreadable SET reason = 'broken JPEG file'")
        )
        assert store.unreadable(digests) == {}
        again = classify(tmp_path / "p", ["red"], encoder=encoder, store=store)
        assert again.skipped == run.skipped
        assert store.unreadable(digests) == {digests[0]: skipped.reason}
