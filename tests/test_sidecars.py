"""Tags in XMP sidecars, read back by a reader that is not ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.colours import ColourEncoder
from tests.making import JPEG, photos, planned, put, statuses, tree, xmp
from tests.reviewing import colour_run
from zeroshelf import classify, folder, reopen
from zeroshelf.apply import apply
from zeroshelf.errors import Unreadable
from zeroshelf.files import planfile, sidecars
from zeroshelf.records import Picture
from zeroshelf.review.carrying import Carrier
from zeroshelf.review.session import Session
from zeroshelf.undo import undo


def read_back(*paths: Path) -> list[dict[str, object]]:
    """As exiftool sees them."""
    if not shutil.which("exiftool"):
        pytest.skip("no independent reader: apt-get install libimage-exiftool-perl")
    command = ["exiftool", "-j", "-struct", "-G1", "-XMP:all", "-validate", "-warning", "-a"]
    answer = subprocess.run([*command, *map(str, paths)], capture_output=True, check=False)
    found: list[dict[str, object]] = json.loads(answer.stdout)
    return found


def listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


LABELS = ["cat", "animals/cat", 'a <b>cat</b> & "dog"', "Café 😀", "猫/黒", "x|y"]


@pytest.mark.parametrize("old", [None, xmp(), xmp(b"<!-- kept -->")], ids=["new", "old", "comment"])
def test_exiftool_reads_what_was_meant(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "a.jpg.xmp"
    data = old
    wanted = [sidecars.tag(label, "zeroshelf") for label in LABELS]
    for tag in wanted:
        data = sidecars.add(data, tag)
    assert data is not None
    path.write_bytes(data)
    (seen,) = read_back(path)
    assert seen["XMP-dc:Subject"] == wanted
    assert seen["XMP-digiKam:TagsList"] == wanted
    assert seen["XMP-lr:HierarchicalSubject"] == [tag.replace("/", "|") for tag in wanted]
    assert seen["ExifTool:Validate"] in ("OK", "0 0 0")
    assert (old is None) or seen["XMP-xmp:Rating"] == 4
    assert sidecars.tags(data) == set(wanted)
    for tag in wanted:
        assert sidecars.add(data, tag) == data, "twice is once"


def test_merged_into_what_is_there_and_taken_away_again(tmp_path: Path) -> None:
    mine = (
        b'<dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/"><r:Bag><r:li>family</r:li>'
        b'</r:Bag></dc:subject><lr:hierarchicalSubject xmlns:lr="urn:not-lightroom">x'
        b"</lr:hierarchicalSubject>"
    )
    old = xmp(mine)
    new = sidecars.add(sidecars.add(old, "zs/animals/cat"), "zs/dog")
    for kept in (b"urn:not-lightroom", b"<r:li>family</r:li>", b'xmp:Rating="4"', b"<?xpacket end"):
        assert kept in new
    (tmp_path / "a.xmp").write_bytes(new)
    (seen,) = read_back(tmp_path / "a.xmp")
    assert seen["XMP-dc:Subject"] == ["family", "zs/animals/cat", "zs/dog"]
    (tmp_path / "b.xmp").write_bytes(sidecars.remove(new, "zs") or b"")
    (seen,) = read_back(tmp_path / "b.xmp")
    assert listed(seen["XMP-dc:Subject"]) == ["family"]
    assert "XMP-digiKam:TagsList" not in seen
    assert sidecars.remove(old, "zs") == old
    once = sidecars.remove(sidecars.add(old, "zs/cat"), "zs")
    assert once is not None and sidecars.remove(sidecars.add(once, "zs/cat"), "zs") == once


@settings(max_examples=100, deadline=None)
@given(label=st.text(max_size=40), prefix=st.text(max_size=10))
def test_any_label_makes_a_whole_sidecar(label: str, prefix: str) -> None:
    tag = sidecars.tag(label, "p" + prefix)
    data = sidecars.add(None, tag)
    assert sidecars.tags(data) == {tag}
    assert not any(ord(c) < 32 for c in tag)
    if "/" in tag:
        assert sidecars.remove(data, tag.split("/", maxsplit=1)[0]) is None
    mine = sidecars.add(data, "mine")
    left = sidecars.remove(mine, "p" if tag.startswith("p/") else tag)
    assert left is not None and "mine" in sidecars.tags(left)


@pytest.mark.parametrize(
    "data",
    [b"", b"<x/>", b"no xml", xmp()[:-60], b'<!DOCTYPE x [<!ENTITY a "aa">]>' + xmp()],
)
def test_what_is_no_xmp_stays_as_it_is(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Unreadable):
        sidecars.add(data, "zs/cat")
    put(tmp_path / "a.jpg", JPEG)
    put(tmp_path / "a.jpg.xmp", data)
    start = tree(tmp_path)
    outcomes = apply(planned(tmp_path, tmp_path, "tag", ["cat"]))
    assert [o.status for o in outcomes] == ["refused"]
    assert "sidecar" in outcomes[0].reason
    assert tree(tmp_path) == start


@pytest.mark.parametrize(
    ("name", "companions", "sidecar"),
    [
        ("a.jpg", [], "a.jpg.xmp"),
        ("a.CR2", [], "a.xmp"),
        ("a.CR2", ["a.CR2.xmp"], "a.CR2.xmp"),
        ("a.jpg", ["A.XMP"], "A.XMP"),
        ("a.jpg", ["a.xmp", "a.jpg.xmp"], "a.jpg.xmp"),
        ("a.jpg", ["a.cr2", "a.cr2.xmp"], "a.jpg.xmp"),
    ],
)
def test_which_sidecar(name: str, companions: list[str], sidecar: str) -> None:
    picture = Picture(f"/x/{name}", "JPEG", 1, 1, 1, tuple(f"/x/{c}" for c in companions))
    assert sidecars.path_for(picture) == f"/x/{sidecar}"


def test_tagging_is_undone_to_the_byte(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", 12)
    start = tree(source)
    record = planned(source, source, "tag", ["cat", "animals/dog", "other"])
    made = planfile.load(os.path.join(record, "plan.jsonl"))
    assert len(made.actions) == 8
    assert statuses(apply(record)) == {"done"}
    assert statuses(apply(record)) == {"already"}
    after = tree(source)
    assert {p for p in start if not p.endswith(b".xmp") and start[p] != after[p]} <= {
        p for p in start if start[p].content is None
    }
    record_again = planned(source, source, "tag", ["cat", "animals/dog", "other"])
    again = planfile.load(os.path.join(record_again, "plan.jsonl"))
    assert not again.actions
    assert "8 have their tag already" in again.notes[0]
    if shutil.which("exiftool"):
        seen = read_back(source / "a.xmp")
        assert listed(seen[0]["XMP-digiKam:TagsList"]) == ["zeroshelf/cat"]
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start


def test_untagging_takes_what_was_added_and_is_undone_to_the_byte(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", 12)
    put(source / "new.jpg", JPEG)
    put(source / "left.xmp", sidecars.add(None, "zeroshelf/of a picture that is gone"))
    put(source / "mine.xmp", sidecars.add(xmp(), "mine/cat"))
    start = tree(source)
    apply(planned(source, source, "tag"))
    made = source / "new.jpg.xmp"
    made.chmod(0o600)
    attributes = hasattr(os, "setxattr")
    if attributes:
        try:
            os.setxattr(made, "user.rating", b"5")
        except OSError:
            attributes = False
    tagged = tree(source)
    record = planned(source, source, "untag")
    assert statuses(apply(record)) == {"done"}
    assert statuses(apply(record)) == {"already"}
    now = tree(source)
    assert start.keys() - now.keys() == {os.fsencode(source / "left.xmp")}
    assert now.keys() <= start.keys(), "a sidecar that was made for tags stays without them"
    for path, node in now.items():
        if path.endswith(b".xmp"):
            assert node.content is not None and sidecars.tags(node.content) <= {"mine/cat"}
            assert b"Rating" in node.content and node.mode == start[path].mode
        elif node.content is not None:
            assert node == start[path], "a picture was touched"
    again = planfile.load(os.path.join(planned(source, source, "untag"), "plan.jsonl"))
    assert not again.actions
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == tagged


def test_untag_leaves_what_changed_since_the_plan_and_undo_what_changed_since_it(
    tmp_path: Path,
) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        put(tmp_path / name, JPEG)
    apply(planned(tmp_path, tmp_path, "tag", ["cat"]))
    record = planned(tmp_path, tmp_path, "untag")
    edited = sidecars.add((tmp_path / "a.jpg.xmp").read_bytes(), "mine/too")
    (tmp_path / "a.jpg.xmp").write_bytes(edited)
    (tmp_path / "b.jpg.xmp").unlink()
    outcomes = {os.path.basename(o.action.target): o for o in apply(record)}
    assert outcomes["a.jpg.xmp"].reason == "it has changed since the plan was made"
    assert outcomes["b.jpg.xmp"].reason == "it is gone"
    assert (tmp_path / "a.jpg.xmp").read_bytes() == edited
    (tmp_path / "c.jpg.xmp").write_bytes(xmp())
    left = {os.path.basename(o.action.target): o for o in undo(record)}
    assert left.keys() == {"c.jpg.xmp", "d.jpg.xmp"}
    assert left["c.jpg.xmp"].reason == "the sidecar has changed since"
    assert (tmp_path / "c.jpg.xmp").read_bytes() == xmp()
    assert sidecars.tags((tmp_path / "d.jpg.xmp").read_bytes()) == {"zeroshelf/cat"}


def test_a_reviewed_run_keeps_its_prefix_and_its_sidecars(tmp_path: Path) -> None:
    run = colour_run(tmp_path, 2)
    put(tmp_path / "pictures" / "blue-00.xmp", xmp())
    run = classify(run.question.folder, ["red", "green"], encoder=ColourEncoder())
    run.save(run.plan(action="tag", prefix="auto"))
    with Session(reopen(run.id, encoder=ColourEncoder())) as session:
        rows = [session.row_of["blue-00.png"], session.row_of["blue-01.png"]]
        session.place(rows, "green")
        assert session.settle()
        carrier = Carrier(session)
        carrier.apply()
        carrier.wait()
        assert carrier.progress.state == "applied"
    assert {path.name for path in (tmp_path / "pictures").glob("blue*.xmp")} == {
        "blue-00.xmp",
        "blue-01.png.xmp",
    }
    for sidecar in (tmp_path / "pictures").glob("blue*.xmp"):
        assert sidecars.tags(sidecar.read_bytes()) == {"auto/green"}
    assert statuses(run.apply(run.plan(action="untag", prefix="auto"))) == {"done"}
    assert [path.name for path in (tmp_path / "pictures").glob("*.xmp")] == ["blue-00.xmp"]


def test_undo_leaves_a_sidecar_that_was_edited_since(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", JPEG)
    record = planned(tmp_path, tmp_path, "tag", ["cat"])
    apply(record)
    edited = sidecars.add((tmp_path / "a.jpg.xmp").read_bytes(), "mine/too")
    (tmp_path / "a.jpg.xmp").write_bytes(edited)
    (outcome,) = undo(record)
    assert (outcome.status, outcome.reason) == ("refused", "the sidecar has changed since")
    assert (tmp_path / "a.jpg.xmp").read_bytes() == edited
    assert folder.scan(str(tmp_path)).pictures[0].companions == (str(tmp_path / "a.jpg.xmp"),)
