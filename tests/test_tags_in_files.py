"""Tags in the pictures' own files, through exiftool: what is written, what never is, and the way
back."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.colours import BLUE, RED, ColourEncoder, paint
from tests.making import Node, encoded, put, statuses, tree, xmp
from tests.systems import linux_names
from tests.test_faults import dies_at, fill, much, place, small_disk
from tests.waiting import HANG, until
from zeroshelf import Run, classify, reopen
from zeroshelf.actions import originals, plan_tags
from zeroshelf.actions.apply import apply
from zeroshelf.actions.tags import exiftool, metadata, picture_files
from zeroshelf.actions.tags.exiftool import ExifTool, Job
from zeroshelf.actions.tags.picture_files import ORIGINALS
from zeroshelf.actions.tags.sidecars import keywords, tags
from zeroshelf.actions.undo import undo
from zeroshelf.commands import cli
from zeroshelf.corrections import stored
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.errors import Unreadable, UserError
from zeroshelf.images import scan
from zeroshelf.models import select
from zeroshelf.review.jobs import Jobs
from zeroshelf.review.session import Session
from zeroshelf.runs import registry
from zeroshelf.system import renaming

__all__ = ["much", "place", "small_disk"]  # fixtures

REASON = "no exiftool: apt-get install libimage-exiftool-perl"
pytestmark = pytest.mark.skipif(not shutil.which("exiftool"), reason=REASON)

FORMATS = {"a.jpg": "JPEG", "b.png": "PNG", "c.tif": "TIFF"}


def picture(format: str, seed: int = 0, **options: object) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    exif = image.getexif()
    exif[0x010E] = "a description"
    exif[0x0112] = 6
    return encoded(image, format, **({"exif": exif} | options))


def photos(root: Path) -> Path:
    """One picture of each kind that is written, one that isn't, a sidecar and a strange name."""
    root.mkdir(parents=True, exist_ok=True)
    for seed, (name, format) in enumerate(FORMATS.items()):
        put(root / name, picture(format, seed), 1_500_000_000 + seed, 0o640)
    put(root / "d.webp", picture("WEBP", 4))
    put(root / "e.jpg", picture("JPEG", 5))
    put(root / "e.xmp", xmp(b"<!-- mine -->"))
    os.makedirs(root / "deep", exist_ok=True)
    put(root / "deep" / "f.jpg", picture("JPEG", 6), mode=0o600)
    return root


def planned(root: Path, labels: Sequence[str] = ("cat",), kind: str = "tag") -> str:
    """The record of a plan that tags every picture below `root` in its file."""
    found = scan.scan(str(root))
    placed = ((p, labels[i % len(labels)], None) for i, p in enumerate(found.pictures))
    if kind == "untag":
        return registry.new(plan_tags.untags(found.root, in_files=True))[1]
    return registry.new(plan_tags.tags(placed, found.root, in_files=True))[1]


def seen(*paths: Path) -> list[dict[str, object]]:
    """What exiftool reads of the keywords; lists always."""
    names = (
        "XMP-dc:Subject",
        "IPTC:Keywords",
        "XMP-lr:HierarchicalSubject",
        "XMP-digiKam:TagsList",
    )
    command = ["exiftool", "-j", "-G1", "-struct", *(f"-{name}" for name in names)]
    answer = subprocess.run([*command, *map(str, paths)], capture_output=True, check=True)
    return [
        {
            key.split(":")[1]: value if isinstance(value, list) else [value]
            for key, value in row.items()
            if key != "SourceFile"
        }
        for row in json.loads(answer.stdout)
    ]


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def outside(root: Path) -> dict[bytes, Node]:
    """The tree without the originals."""
    return {path: node for path, node in tree(root).items() if ORIGINALS.encode() not in path}


# --- written and put back -----------------------------------------------------------------------


def test_tags_are_written_into_the_files_and_undone_to_the_byte(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos")
    start = tree(source)
    before = {name: pixels(source / name) for name in FORMATS}
    record = planned(source, ["animals/cat", "Café 猫"])
    assert statuses(apply(record)) == {"done"}
    assert statuses(apply(record)) == {"already"}
    for name, found in zip(FORMATS, seen(*(source / name for name in FORMATS)), strict=True):
        tag = "zeroshelf/animals/cat" if name != "b.png" else "zeroshelf/Café 猫"
        assert found.pop("HierarchicalSubject") == [tag.replace("/", "|")]
        assert found.pop("Keywords", None) == (None if name == "b.png" else [tag])
        assert found == {"Subject": [tag], "TagsList": [tag]}
        assert pixels(source / name) == before[name]
        assert stat.S_IMODE((source / name).stat().st_mode) == 0o640
        assert not (source / (name + ".xmp")).exists(), "in the file, so not beside it"
    assert (source / "d.webp.xmp").exists(), "what isn't written gets a sidecar"
    assert tags((source / "e.xmp").read_bytes()), "one that is there gets the tag too"
    kept = source / ORIGINALS / os.path.basename(record)
    assert {path.name for path in kept.iterdir()} == {
        f"{name}.original" for name in (*FORMATS, "e.jpg")
    }
    for name in FORMATS:
        assert (kept / f"{name}.original").read_bytes() == start[os.fsencode(source / name)].content
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start


def test_the_folder_is_not_scanned_twice_and_a_second_sort_plans_nothing(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos")
    count = len(scan.scan(str(source)).pictures)
    apply(planned(source))
    assert len(scan.scan(str(source)).pictures) == count
    found = scan.scan(str(source))
    again = plan_tags.tags(((p, "cat", None) for p in found.pictures), found.root, in_files=True)
    assert not again.actions
    dog = plan_tags.tags(((p, "dog", None) for p in found.pictures), found.root, in_files=True)
    second = registry.new(dog)[1]
    now = tree(source)
    assert statuses(apply(second)) == {"done"}
    (one,) = seen(source / "a.jpg")
    assert one["Subject"] == one["Keywords"] == ["zeroshelf/cat", "zeroshelf/dog"]
    assert statuses(undo(second)) == {"done"}
    assert tree(source) == now


HOSTILE = ["-o.jpg", "-execute", "%f %d.jpg", "new\nline.jpg", "$HOME `x`.jpg", "a [1]*?.jpg",
           " lead.jpg", "é\U0001f600.jpg", "#[CSTR]x.jpg", "\udcff\udcfe.jpg",
           "x" * 251 + ".jpg"]  # fmt: skip


@linux_names
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "photos" / "%d\n-x"
    inside.mkdir(parents=True)
    put(os.fsencode(inside / name), picture("JPEG"))
    start = tree(tmp_path)
    record = planned(tmp_path / "photos")
    assert statuses(apply(record)) == {"done"}
    with open(inside / name, "rb") as file:
        assert b"zeroshelf/cat" in file.read()
    assert [n for n in os.listdir(inside) if not n.startswith(".zeroshelf-originals")] == [name]
    assert statuses(undo(record)) == {"done"}
    assert tree(tmp_path) == start


def test_exiftools_own_backup_stays_what_it_is(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", picture("JPEG"))
    put(tmp_path / "a.jpg_original", b"a backup that exiftool made earlier")
    start = tree(tmp_path)
    record = planned(tmp_path)
    assert statuses(apply(record)) == {"done"}
    assert (
        outside(tmp_path)[os.fsencode(tmp_path / "a.jpg_original")]
        == (start[os.fsencode(tmp_path / "a.jpg_original")])
    )
    undo(record)
    assert tree(tmp_path) == start


def test_without_hard_links_a_copy_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    source = photos(tmp_path / "photos")
    start = tree(source)
    monkeypatch.setattr(os, "link", refuse)
    record = planned(source)
    assert statuses(apply(record)) == {"done"}
    kept = tree(source / ORIGINALS)
    assert {n.content for n in kept.values() if n.content} <= {n.content for n in start.values()}
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start


# --- never --------------------------------------------------------------------------------------


def refused(root: Path) -> str:
    """Why the only picture below `root` is left alone; it must be as it was."""
    start = tree(root)
    record = planned(root)
    (outcome,) = apply(record)
    assert outcome.status == "refused"
    assert {p: n.content for p, n in outside(root).items()} == {
        p: n.content for p, n in start.items()
    }
    assert not [path for path in tree(root) if path.endswith(b".part")]
    undo(record)
    assert tree(root) == start
    return outcome.reason


def test_a_picture_with_two_names_or_none_to_write_is_left_alone(tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    put(source / "a.jpg", picture("JPEG"))
    os.link(source / "a.jpg", tmp_path / "second name")
    assert "hard link" in refused(source)
    (tmp_path / "second name").unlink()
    (source / "a.jpg").chmod(0o444)
    assert "write-protected" in refused(source)


def segment(marker: int, data: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def with_segment(jpeg: bytes, marker: int, data: bytes) -> bytes:
    return jpeg[:2] + segment(marker, data) + jpeg[2:]


XMP = b"http://ns.adobe.com/xap/1.0/\0"
ODD = {
    "extended XMP": (
        with_segment(picture("JPEG"), 0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)),
        "a.jpg",
        "split",
    ),
    "two XMP blocks": (
        with_segment(with_segment(picture("JPEG"), 0xE1, XMP + xmp()), 0xE1, XMP + xmp()),
        "a.jpg",
        "more than one",
    ),
    "keywords as text": (
        with_segment(
            picture("JPEG"),
            0xE1,
            XMP + xmp(b'<dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/">x</dc:subject>'),
        ),
        "a.jpg",
        "is not a list of keywords",
    ),
    "no XML": (with_segment(picture("JPEG"), 0xE1, XMP + b"<x"), "a.jpg", "is not XML"),
    "Photoshop data": (
        with_segment(picture("JPEG"), 0xED, b"Photoshop 3.0\0nonsense and more of it"),
        "a.jpg",
        "damaged",
    ),
    "cut short": (picture("PNG")[:-40], "a.png", "cut short|damaged"),
    "a hidden block": (picture("TIFF") + b"a maker's own data", "a.tif", "no directory refers to"),
}


@pytest.mark.parametrize("case", ODD)
def test_a_file_of_an_odd_form_is_left_alone(tmp_path: Path, case: str) -> None:
    content, name, why = ODD[case]
    put(tmp_path / name, content)
    reason = refused(tmp_path)
    assert any(part in reason for part in why.split("|")), reason


def corrupting(how: Callable[[bytes], bytes]) -> Callable[[ExifTool, Job], str]:
    make = ExifTool.make

    def made(self: ExifTool, job: Job) -> str:
        path = make(self, job)
        with open(path, "rb") as file:
            content = file.read()
        with open(path, "wb") as file:
            file.write(how(content))
        return path

    return made


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "a pixel": flip(-30),
    "the last byte": flip(-1),
    "cut short": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "empty": lambda content: b"",
    "its EXIF": lambda content: content.replace(b"a description", b"A description"),
    "another tag": lambda content: content.replace(b"zeroshelf/cat", b"zeroshelf/car"),
    "no tag": lambda content: picture("JPEG"),
    "another picture": lambda content: picture("JPEG", 9),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_exiftool_made_is_not_trusted(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a.jpg", picture("JPEG"))
    monkeypatch.setattr(ExifTool, "make", corrupting(WRONG[what]))
    reason = refused(tmp_path)
    assert "more than its keywords" in reason or "JPEG" in reason or "damaged" in reason


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """An exiftool that does what `script` says, in place of the real one."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "exiftool").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "exiftool").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")


UNFIT = {
    "old": ("echo 12.23", "12.23 is too old: install 12.24"),
    "silent": ("exit 1", "doesn't say its version"),
    "odd": ("echo version twelve", "doesn't say its version"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for the program")
@pytest.mark.parametrize("case", UNFIT)
def test_an_unfit_exiftool_is_refused_before_anything_is_touched(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, why = UNFIT[case]
    (tmp_path / "photos").mkdir()
    put(tmp_path / "photos" / "a.jpg", picture("JPEG"))
    record = planned(tmp_path / "photos")
    start = tree(tmp_path / "photos")
    program(tmp_path, monkeypatch, script)
    with pytest.raises(UserError, match=why):
        apply(record)
    assert tree(tmp_path / "photos") == start
    assert registry.find(os.path.basename(record)).state == "planned"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for the program")
@pytest.mark.parametrize(
    "script",
    ["exit 1", "kill -9 $$", "echo 'Error: no - old0.jpg' >&2", "cat; touch new0.jpg"],
    ids=["fails", "dies", "says why", "makes nothing"],
)
def test_an_exiftool_that_fails_costs_nothing(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    put(tmp_path / "photos" / "a.jpg", picture("JPEG"))
    program(tmp_path, monkeypatch, f'[ "$3" = -ver ] && echo 12.99 && exit\n{script}')
    assert refused(tmp_path / "photos")


def test_one_that_hangs_is_ended_and_the_others_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process gets all and hangs; after that each picture has one to itself."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        put(tmp_path / name, picture("JPEG"))
    run = subprocess.run
    asked: list[bytes] = []

    def running(*args: object, **options: object) -> object:
        given = options.get("input")
        if isinstance(given, bytes):
            asked.append(given)
            if len(asked) <= 2:  # all of them, and then the first alone
                raise subprocess.TimeoutExpired("exiftool", 1)
        return run(*args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", running)
    outcomes = apply(planned(tmp_path))
    assert [o.status for o in outcomes] == ["refused", "done", "done"]
    assert "longer than" in outcomes[0].reason
    assert [given.count(b"-execute") for given in asked] == [3, 1, 1, 1]


def test_many_pictures_share_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        put(tmp_path / f"{number}.jpg", picture("JPEG", number))
    run = subprocess.run
    started = []

    def running(*args: object, **options: object) -> object:
        started.append(args)
        return run(*args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", running)
    assert statuses(apply(planned(tmp_path))) == {"done"}
    assert len(started) == 2  # its version, and the work
    started.clear()
    monkeypatch.setattr(exiftool, "_GROUP", 0)
    assert statuses(apply(planned(tmp_path, ["dog"]))) == {"done"}
    assert len(started) == 41
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


def test_the_users_settings_of_exiftool_have_no_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".ExifTool_config").write_text("die 'read';\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EXIFTOOL_HOME", str(tmp_path / "home"))
    (tmp_path / "photos").mkdir()
    put(tmp_path / "photos" / "a.jpg", picture("JPEG"))
    assert statuses(apply(planned(tmp_path / "photos"))) == {"done"}


def test_a_plan_that_was_edited_writes_into_no_other_picture(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / name, picture("JPEG"))
    record = planned(tmp_path)
    path = os.path.join(record, "plan.jsonl")
    with open(path, encoding="ascii") as file:
        lines = file.read().splitlines()
    with open(path, "w", encoding="ascii") as file:
        file.write(
            "\n".join([lines[0], lines[1].replace('"target": "a.jpg"', '"target": "b.jpg"')])
        )
    start = {p: n.content for p, n in tree(tmp_path).items()}
    (outcome,) = apply(record)
    assert outcome.status == "refused" and "own file" in outcome.reason
    assert {p: n.content for p, n in outside(tmp_path).items()} == start


# --- killed -------------------------------------------------------------------------------------


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """exiftool runs once for each picture and set of tags: the kills are many."""
    run = ExifTool._run
    memory: dict[tuple[bytes, ...], bytes] = {}

    def running(self: ExifTool, arguments: Sequence[str], group: Sequence[Job]) -> None:
        keys = []
        for number, job in enumerate(group):
            with open(os.path.join(self._folder, f"old{number}.jpg"), "rb") as file:
                keys.append((file.read(), job.xmp or b"", *job.values))
        if any(key not in memory for key in keys):
            run(self, arguments, group)
            for key, job in zip(keys, group, strict=True):
                with open(self._made[job], "rb") as file:
                    memory[key] = file.read()
            return
        for number, (key, job) in enumerate(zip(keys, group, strict=True)):
            self._made[job] = os.path.join(self._folder, f"new{number}.jpg")
            with open(self._made[job], "wb") as file:
                file.write(memory[key])

    monkeypatch.setattr(ExifTool, "_run", running)
    monkeypatch.setattr(exiftool, "find", lambda: "exiftool")


def few(root: Path) -> Path:
    root.mkdir(parents=True)
    put(root / "a.jpg", picture("JPEG", 1), 1_500_000_000, 0o640)
    put(root / "a.xmp", xmp())
    put(root / "b.jpg", picture("JPEG", 2), 1_500_000_001)
    return root


def check_whole(root: Path, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Each picture is under its name, whole, old or new, and every old one is somewhere."""
    everything = [node.content for node in tree(root).values() if node.content is not None]
    for name, content in old.items():
        assert (root / name).read_bytes() in (content, new[name]), "half a picture"
        assert content in everything, "lost"


@pytest.mark.skipif(sys.platform == "win32", reason="kills processes by fork")
@pytest.mark.parametrize("links", [True, False], ids=["links", "copies"])
@pytest.mark.parametrize("torn", [False, True], ids=["between", "torn"])
@pytest.mark.parametrize("act", [apply, undo], ids=["apply", "undo"])
def test_killed_at_every_boundary(
    act: Callable[[str], object],
    torn: bool,
    links: bool,
    place: Path,
    remembered: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not links:

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        monkeypatch.setattr(renaming, "_RENAME", renaming._RENAME)
    source = few(place / "here" / "photos")
    start = tree(source.parent)
    old = {name: (source / name).read_bytes() for name in ("a.jpg", "b.jpg")}
    record = planned(source)
    apply(record)
    new = {name: (source / name).read_bytes() for name in old}
    assert new.keys() == old.keys() and all(new[name] != old[name] for name in old)
    undo(record)
    assert tree(source.parent) == start
    number = 0
    lived = None
    while not lived:
        number += 1
        record = planned(source)
        if act is undo:
            apply(record)
        lived = dies_at(number, partial(act, record), torn)
        check_whole(source, old, new)
        if number % 2:
            assert statuses(apply(record)) <= {"done", "already"}
            check_whole(source, old, new)
            assert {name: (source / name).read_bytes() for name in old} == new
            assert not [path for path in tree(source) if path.endswith(b".part")]
        assert statuses(undo(record)) <= {"done", "already"}
        assert tree(source.parent) == start
    assert number > 20


# --- undo when something has changed ------------------------------------------------------------


def test_undo_leaves_a_picture_that_has_changed_since_and_says_where_its_original_is(
    tmp_path: Path,
) -> None:
    for number, name in enumerate(("edited.jpg", "gone.jpg", "spoilt.jpg", "fine.jpg")):
        put(tmp_path / name, picture("JPEG", number))
    start = {p: n.content for p, n in tree(tmp_path).items()}
    record = planned(tmp_path)
    apply(record)
    kept = tmp_path / ORIGINALS / os.path.basename(record)
    (tmp_path / "edited.jpg").write_bytes(picture("JPEG", 7))
    (tmp_path / "gone.jpg").unlink()
    (kept / "spoilt.jpg.original").write_bytes(b"not a picture")
    tagged = (tmp_path / "spoilt.jpg").read_bytes()
    reasons = {o.action.source.rpartition(os.sep)[2]: (o.status, o.reason) for o in undo(record)}
    assert reasons["fine.jpg"] == ("done", "")
    assert reasons["edited.jpg"][0] == "refused"
    assert reasons["edited.jpg"][1] == (
        f"the picture has changed since; its original is {kept / 'edited.jpg.original'}"
    )
    assert "no longer exists; its original is" in reasons["gone.jpg"][1]
    assert "has changed" in reasons["spoilt.jpg"][1]
    assert (tmp_path / "edited.jpg").read_bytes() == picture("JPEG", 7)
    assert (tmp_path / "spoilt.jpg").read_bytes() == tagged
    for name in ("edited.jpg", "gone.jpg"):
        assert (kept / f"{name}.original").read_bytes() == start[os.fsencode(tmp_path / name)]
    (kept / "edited.jpg.original").unlink()
    (tmp_path / "edited.jpg").write_bytes(tagged)
    assert {o.reason for o in undo(record) if "edited" in o.action.source} == {
        "the picture has changed since"
    }


def test_a_picture_that_changes_while_it_is_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a.jpg", picture("JPEG"))
    make = ExifTool.make

    def made(self: ExifTool, job: Job) -> str:
        path = make(self, job)
        put(tmp_path / "a.jpg", picture("JPEG", 3))
        return path

    monkeypatch.setattr(ExifTool, "make", made)
    (outcome,) = apply(planned(tmp_path))
    assert (outcome.status, outcome.reason) == ("failed", "the picture has just changed")
    assert (tmp_path / "a.jpg").read_bytes() == picture("JPEG", 3)
    assert not [path for path in tree(tmp_path) if path.endswith((b".part", b".original"))]


# --- keywords that are there --------------------------------------------------------------------


def exiftool_writes(path: Path, *options: str) -> None:
    subprocess.run(
        ["exiftool", "-q", "-overwrite_original", *options, str(path)], check=True, timeout=HANG
    )


def test_keywords_in_the_file_are_not_hidden_by_ours(tmp_path: Path) -> None:
    """Whichever list a program reads first: what it found before, it finds still."""
    for name, options in {
        "iptc.jpg": ["-IPTC:Keywords=family", "-IPTC:Caption-Abstract=hello"],
        "latin.jpg": ["-IPTC:Keywords=Café", "-charset", "iptc=latin"],
        "xmp.jpg": ["-XMP-dc:Subject=family"],
        "lr.tif": ["-XMP-lr:HierarchicalSubject=People|grandma"],
        "both.jpg": ["-IPTC:Keywords=family", "-XMP-dc:Subject=family", "-IPTCDigest=new"],
        "xmp.png": ["-XMP-dc:Subject=family"],
    }.items():
        put(
            tmp_path / name,
            picture(name.split(".")[1].replace("tif", "tiff").replace("jpg", "jpeg")),
        )
        exiftool_writes(tmp_path / name, *options)
    before = {path.name: metadata.read(str(path), FORMATS_OF[path.suffix]) for path in
              tmp_path.iterdir()}  # fmt: skip
    assert before["both.jpg"].is_synchronized
    start = tree(tmp_path)
    record = planned(tmp_path)
    assert statuses(apply(record)) == {"done"}
    found = dict(zip(sorted(before), seen(*sorted(tmp_path.glob("*.*"))), strict=True))
    cat = "zeroshelf/cat"
    assert found["iptc.jpg"] == {
        "Keywords": ["family", cat],
        "Subject": ["family", cat],
        "HierarchicalSubject": ["family", "zeroshelf|cat"],
        "TagsList": ["family", cat],
    }
    assert found["latin.jpg"]["Subject"] == ["Café", cat]
    assert "Keywords" not in found["xmp.jpg"], (
        "else a program that reads IPTC first sees ours alone"
    )
    assert found["xmp.jpg"]["TagsList"] == ["family", cat]
    assert found["lr.tif"]["TagsList"] == ["People/grandma", cat]
    assert found["xmp.png"]["Subject"] == ["family", cat]
    assert found["both.jpg"]["Keywords"] == found["both.jpg"]["Subject"] == ["family", cat]
    assert metadata.read(str(tmp_path / "both.jpg"), "JPEG").is_synchronized
    assert statuses(undo(record)) == {"done"}
    assert tree(tmp_path) == start
    apply(planned(tmp_path))
    assert statuses(apply(planned(tmp_path, kind="untag"))) == {"done"}
    for path in tmp_path.glob("[a-z]*.*"):
        now = metadata.read(str(path), FORMATS_OF[path.suffix])
        old = before[path.name]
        assert now.keywords == old.keywords and now.is_synchronized == old.is_synchronized
        assert (now.xmp or b"").strip() == (old.xmp or b"").strip(), path.name


FORMATS_OF = {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF"}


def test_a_keyword_too_long_for_iptc_is_in_the_xmp_alone(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", picture("JPEG"))
    assert statuses(apply(planned(tmp_path, ["x" * 70]))) == {"done"}
    (found,) = seen(tmp_path / "a.jpg")
    assert found["Subject"] == ["zeroshelf/" + "x" * 70]
    assert "Keywords" not in found


def test_a_new_sidecar_gets_the_keywords_of_the_file_that_it_would_hide(tmp_path: Path) -> None:
    """Immich takes the sidecar's list instead of the file's."""
    held = xmp(b'<dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/"><r:Bag><r:li>family</r:li>'
               b"</r:Bag></dc:subject>")  # fmt: skip
    put(tmp_path / "a.jpg", with_segment(picture("JPEG"), 0xE1, XMP + held))
    put(tmp_path / "b.webp", picture("WEBP", xmp=held))
    put(tmp_path / "c.png", picture("PNG"))
    exiftool_writes(tmp_path / "c.png", "-XMP-lr:HierarchicalSubject=People|grandma")
    put(tmp_path / "d.jpg", picture("JPEG"))
    exiftool_writes(tmp_path / "d.jpg", "-IPTC:Keywords=family")
    found = scan.scan(str(tmp_path))
    record = registry.new(plan_tags.tags(((p, "cat", None) for p in found.pictures), found.root))[1]
    start = tree(tmp_path)
    assert statuses(apply(record)) == {"done"}
    for name in ("a.jpg", "b.webp", "d.jpg"):
        found_in = keywords((tmp_path / f"{name}.xmp").read_bytes())
        assert found_in.flat == ("family", "zeroshelf/cat")
        assert tags((tmp_path / f"{name}.xmp").read_bytes()) == {"family", "zeroshelf/cat"}
    assert tags((tmp_path / "c.png.xmp").read_bytes()) == {
        "People/grandma",
        "zeroshelf/cat",
    }
    apply(registry.new(plan_tags.untags(str(tmp_path)))[1])
    assert {p: n.content for p, n in tree(tmp_path).items()} == {
        p: n.content for p, n in start.items()
    }


def test_a_name_that_leaves_no_room_for_a_sidecars(tmp_path: Path) -> None:
    """photo.xmp where it can only be this picture's; else it is left alone, and said so."""
    for stem, suffixes in (
        ("x" * 251, ("jpg",)),
        ("y" * 251, ("jpg", "png")),
        ("z" * 250, ("jpg",)),
    ):
        for suffix in suffixes:
            put(tmp_path / f"{stem}.{suffix}", picture({"jpg": "JPEG", "png": "PNG"}[suffix]))
    put(tmp_path / ("z" * 250 + ".XMP"), xmp())
    start = tree(tmp_path)
    found = scan.scan(str(tmp_path))
    made = plan_tags.tags(((p, "cat", None) for p in found.pictures), found.root)
    left = [note for note in made.notes if "too long" in note]
    assert len(left) == 2 and all("yyy" in note for note in left)
    record = registry.new(made)[1]
    assert statuses(apply(record)) == {"done"}
    assert sorted(path.name[0] for path in tmp_path.glob("*.[xX][mM][pP]")) == ["x", "z"]
    assert statuses(undo(record)) == {"done"}
    assert tree(tmp_path) == start
    in_files = plan_tags.tags(((p, "cat", None) for p in found.pictures), found.root, in_files=True)
    assert not [note for note in in_files.notes if "too long" in note]
    assert statuses(apply(registry.new(in_files)[1])) == {"done"}


def test_a_disk_that_fills_up_costs_no_picture(small_disk: Path, place: Path, much: None) -> None:
    source = small_disk / "photos"
    source.mkdir()
    for number in range(12):
        put(source / f"{number}.jpg", picture("JPEG", number))
    start = tree(source)
    record = planned(source)
    ballast = fill(small_disk, pages=9, names=40)
    outcomes = apply(record)
    assert statuses(outcomes) == {"done", "failed"}
    assert {o.reason for o in outcomes if o.status == "failed"} == {"No space left on device"}
    assert not [path for path in tree(source) if path.endswith(b".part")]
    old = [node.content for node in start.values() if node.content is not None]
    now = [node.content for node in tree(source).values() if node.content is not None]
    assert set(old) <= set(now)
    assert statuses(undo(record)) <= {"done", "already"}
    assert tree(source) == start
    shutil.rmtree(ballast)
    assert statuses(apply(record)) == {"done"}
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start


def test_room_is_asked_for_first(small_disk: Path, place: Path) -> None:
    source = small_disk / "photos"
    source.mkdir()
    put(source / "a.jpg", picture("JPEG") + bytes(150_000))
    start = tree(source)
    with pytest.raises(UserError, match="the originals are kept: make room"):
        apply(planned(source))
    assert tree(source) == start


# --- untag, originals, the command line, the cache ----------------------------------------------


def test_untag_takes_tags_out_of_the_files_too_and_is_undone_to_the_byte(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos")
    start = {p: n.content for p, n in tree(source).items()}
    apply(planned(source))
    originals.drop(registry.newest_applied().record)
    tagged = tree(source)
    assert statuses(apply(planned(source, kind="untag"))) == {"done"}
    now = {p: n.content for p, n in outside(source).items()}
    for name in FORMATS:
        path = os.fsencode(source / name)
        assert now[path] == start[path] or name != "a.jpg", "a JPEG is what it was"
        assert not [value for value in seen(source / name)[0].values() if value]
    assert not planfile_actions(planned(source, kind="untag"))
    assert statuses(undo(registry.newest_applied().record)) == {"done"}
    assert tree(source) == tagged


def planfile_actions(record: str) -> int:
    with open(os.path.join(record, "plan.jsonl"), encoding="ascii") as file:
        return len(file.read().splitlines()) - 1


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, encoder: ColourEncoder) -> Callable[..., int]:
    """The program with the model that can be computed by eye."""
    monkeypatch.setattr(select, "find", lambda name=None: encoder.model)
    monkeypatch.setattr(select, "load", lambda *_, **__: encoder)
    return lambda *words: cli.main([str(word) for word in words])


def test_on_the_command_line(
    tmp_path: Path, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "F" / "red.jpg", RED)
    paint(tmp_path / "F" / "blue.png", BLUE)
    start = tree(tmp_path / "F")
    sort = ("sort", tmp_path / "F", "-l", "red", "-l", "blue", "--as", "tag", "--yes")
    assert command(*sort, "--in-files") == 0
    said = capsys.readouterr()
    assert "2 pictures are rewritten" in said.out + said.err
    assert seen(tmp_path / "F" / "red.jpg")[0]["Subject"] == ["zeroshelf/red"]
    record = registry.find().record
    assert command("originals") == 0
    assert registry.find().id in capsys.readouterr().out
    assert command("originals", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    assert row["files"] == 2 and row["bytes"] > 100
    assert command("undo", "--yes") == 0
    assert tree(tmp_path / "F") == start
    assert command("originals") == 0
    assert "No originals" in capsys.readouterr().out
    assert command("apply", os.path.basename(record), "--yes") == 0
    assert command("originals", "--drop", "--yes") == 2, "of which run?"
    (tmp_path / "F" / "red.jpg").unlink()
    assert command("originals", os.path.basename(record), "--drop", "--yes") == 1
    assert "this is the only copy" in capsys.readouterr().err
    kept = [path.name for path in (tmp_path / "F").rglob("*.original")]
    assert kept == ["red.jpg.original"]
    assert command("undo", "--yes") == 1
    assert "its original" in capsys.readouterr().err
    assert command("untag", tmp_path / "F", "--in-files", "--yes") == 0
    with Image.open(tmp_path / "F" / "blue.png") as image:
        assert "xmp" not in image.info


def test_a_record_is_not_pruned_while_it_keeps_originals(
    tmp_path: Path, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "a.jpg", picture("JPEG"))
    record = planned(tmp_path)
    apply(record)
    assert command("runs", "prune", "--all", "--applied", "-y") == 1
    assert "originals" in capsys.readouterr().err
    assert command("originals", os.path.basename(record), "--drop", "-y") == 0
    assert not (tmp_path / ORIGINALS).exists()
    assert command("runs", "prune", "--all", "--applied", "-y") == 0
    assert not os.path.exists(record)


def test_in_files_is_refused_in_a_line(
    tmp_path: Path,
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paint(tmp_path / "F" / "red.jpg", RED)
    start = tree(tmp_path)
    words = ("sort", tmp_path / "F", "-l", "red", "--yes", "--in-files")
    assert command(*words, "--to", tmp_path / "s") == 2
    assert "--in-files needs --as tag" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command(*words, "--as", "tag") == 2
    assert capsys.readouterr().err.strip() == (
        "zeroshelf: exiftool isn't installed: get it from exiftool.org, or leave --in-files out"
    )
    assert command("untag", tmp_path / "F", "--in-files", "--yes") == 2
    assert tree(tmp_path) == start


def test_a_tagged_picture_is_not_embedded_again(tmp_path: Path, encoder: ColourEncoder) -> None:
    paint(tmp_path / "F" / "red.jpg", RED)
    paint(tmp_path / "F" / "blue.png", BLUE)
    with EmbeddingCache.open() as store:
        run = classify(tmp_path / "F", ["red", "blue"], encoder=encoder, store=store)
        run.apply(run.plan(action="tag", in_files=True))
    fresh = ColourEncoder()
    with EmbeddingCache.open() as store:
        again = classify(tmp_path / "F", ["red", "blue"], encoder=fresh, store=store)
    assert again.device is None, "every picture was known"
    assert again.embeddings.digests != run.embeddings.digests
    assert again.decisions.labels == run.decisions.labels
    assert (again.embeddings.vectors == run.embeddings.vectors).all()


def test_stored_corrections_hold_for_a_picture_that_was_tagged_and_after_undo(
    tmp_path: Path, encoder: ColourEncoder
) -> None:
    for number in range(3):
        paint(tmp_path / "F" / f"red{number}.jpg", (230, 20 + number, 20))
        paint(tmp_path / "F" / f"blue{number}.jpg", (20, 20 + number, 230))
    asked = (tmp_path / "F", ["red", "blue"])
    run = classify(*asked, encoder=encoder).correct({"red1.jpg": "blue"})
    run.store_corrections()
    tagged = classify(*asked, encoder=encoder)
    assert label_of(tagged, "red1.jpg") == "blue"
    tagged.apply(tagged.plan(action="tag", in_files=True))
    again = classify(*asked, encoder=encoder)
    assert again.embeddings.digests != run.embeddings.digests
    known = stored.load_for(again.labels, again.model)
    row = [p.path for p in again.embeddings.pictures].index(str(tmp_path / "F" / "red1.jpg"))
    assert again.embeddings.digests[row].hex() in known and len(known) == 1
    assert label_of(again, "red1.jpg") == "blue"
    tagged.undo()
    assert run.embeddings.digests[row].hex() in stored.load_for(again.labels, again.model)


def label_of(run: Run, name: str) -> str:
    return next(one.label for one in run.decisions if one.picture.path.endswith(name))


def test_sorting_again_after_a_correction_replaces_the_tag_in_the_file(
    tmp_path: Path, encoder: ColourEncoder
) -> None:
    paint(tmp_path / "F" / "red.jpg", RED)
    paint(tmp_path / "F" / "blue.jpg", BLUE)
    start = tree(tmp_path / "F")
    run = classify(tmp_path / "F", ["red", "blue"], encoder=encoder)
    run.apply(run.plan(action="tag", in_files=True))
    exiftool_writes(tmp_path / "F" / "red.jpg", "-XMP-digiKam:TagsList+=mine")
    again = classify(tmp_path / "F", ["red", "blue"], encoder=encoder)
    corrected = again.correct({"red.jpg": "blue"})
    assert statuses(corrected.apply(corrected.plan(action="tag", in_files=True))) == {"done"}
    (found,) = seen(tmp_path / "F" / "red.jpg")
    assert found["Subject"] == found["Keywords"] == ["zeroshelf/blue"]
    assert found["TagsList"] == ["mine", "zeroshelf/blue"]
    corrected.undo()
    outcomes = {os.path.basename(o.action.source): o.status for o in run.undo()}
    assert outcomes == {"red.jpg": "refused", "blue.jpg": "done"}, "the user has edited one"
    now = outside(tmp_path / "F")
    blue = os.fsencode(tmp_path / "F" / "blue.jpg")
    assert now[blue] == start[blue]


def test_a_review_keeps_tags_in_the_files(tmp_path: Path, encoder: ColourEncoder) -> None:
    paint(tmp_path / "F" / "red.jpg", RED)
    paint(tmp_path / "F" / "blue.jpg", BLUE)
    run = classify(tmp_path / "F", ["red", "blue"], encoder=encoder)
    run.save(run.plan(action="tag", in_files=True))
    with Session(reopen(run.id, encoder=encoder)) as session:
        session.place([session.row_of["red.jpg"]], "blue")
        assert session.update_plan()
        jobs = Jobs(session)
        jobs.apply()
        jobs.wait()
        assert jobs.progress.state == "applied"
    assert seen(tmp_path / "F" / "red.jpg")[0]["TagsList"] == ["zeroshelf/blue"]
    assert not list((tmp_path / "F").glob("*.xmp"))


# --- metadata -----------------------------------------------------------------------------------


def test_several_pictures_in_one_file_stay_where_the_offsets_lead(tmp_path: Path) -> None:
    """A gain map or the second frame of an MPO is found by its distance from a segment."""
    first = Image.fromarray(np.zeros((16, 16, 3), np.uint8) + 40)
    out = io.BytesIO()
    first.save(out, "MPO", save_all=True, append_images=[first.rotate(90).resize((8, 8))])
    put(tmp_path / "a.jpg", out.getvalue() + b"a motion photo's video")
    before = [frame(tmp_path / "a.jpg", number) for number in (0, 1)]
    assert statuses(apply(planned(tmp_path))) == {"done"}
    assert [frame(tmp_path / "a.jpg", number) for number in (0, 1)] == before
    assert (tmp_path / "a.jpg").read_bytes().endswith(b"a motion photo's video")
    # With metadata behind that segment, which would grow, the offset would lead elsewhere.
    moved = out.getvalue()
    at = moved.index(b"\xff\xe2")
    end = at + 2 + struct.unpack(">H", moved[at + 2 : at + 4])[0]
    put(tmp_path / "b.jpg", moved[:end] + segment(0xE1, XMP + xmp()) + moved[end:])
    outcomes = {os.path.basename(o.action.source): o for o in apply(planned(tmp_path, ["dog"]))}
    assert outcomes["b.jpg"].status == "refused"
    assert outcomes["a.jpg"].status == "done"


def frame(path: Path, number: int) -> bytes:
    with Image.open(path) as image:
        image.seek(number)
        return image.tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_compressed_xmp_of_a_png_is_read_and_a_bomb_is_not(tmp_path: Path) -> None:
    plain = picture("PNG")
    at = plain.index(b"IDAT") - 4

    def holding(text: bytes) -> Path:
        data = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(text)
        put(tmp_path / "a.png", plain[:at] + chunk(b"iTXt", data) + plain[at:])
        return tmp_path / "a.png"

    assert metadata.read(str(holding(xmp())), "PNG").xmp == xmp()
    with pytest.raises(Unreadable, match="too large"):
        metadata.read(str(holding(bytes(1 << 25))), "PNG")


@pytest.mark.parametrize("format", metadata.FORMATS)
def test_damaged_files_are_refused_and_never_crash(tmp_path: Path, format: str) -> None:
    whole = picture(format)
    noise = np.random.default_rng(5)
    path = tmp_path / "a"
    for number in range(300):
        damaged = bytearray(whole)
        for at in noise.integers(0, min(len(whole), 400), 3):
            damaged[at] = noise.integers(256)
        path.write_bytes(bytes(damaged[: noise.integers(1, len(whole))] if number % 3 else damaged))
        for all_of_it in (False, True):
            try:
                found = metadata.read(str(path), format, whole=all_of_it)
            except Unreadable:
                continue
            picture_files.untagged(metadata.Metadata(None, found.iptc, None, None), "zs")


@pytest.mark.parametrize("format", metadata.FORMATS)
def test_every_byte_that_is_no_keyword_counts(tmp_path: Path, format: str) -> None:
    whole = picture(format)
    path = tmp_path / "a"
    path.write_bytes(whole)
    rest = metadata.read(str(path), format, whole=True).rest
    directory = range(8, 16 + 12 * whole[8]) if format == "TIFF" else ()  # has unused bytes
    for at in (at for at in range(0, len(whole), 7) if at not in directory):
        path.write_bytes(flip(at)(whole))
        with contextlib.suppress(Unreadable):
            assert metadata.read(str(path), format, whole=True).rest != rest, at


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_process_that_was_killed_leaves_no_exiftool_behind(tmp_path: Path) -> None:
    """The child gets all its work at once, so that it ends by itself."""
    put(tmp_path / "a.jpg", picture("JPEG"))
    script = (
        "import os, subprocess\n"
        "from zeroshelf.actions.tags.exiftool import ExifTool, Job\n"
        "start = subprocess.Popen.communicate\n"
        "def communicate(self, input=None, **options):\n"
        "    if input is None: return start(self, input, **options)\n"
        "    print(self.pid, flush=True)\n"
        "    self.stdin.write(input); self.stdin.flush(); os.kill(os.getpid(), 9)\n"
        "subprocess.Popen.communicate = communicate\n"
        f"job = Job({str(tmp_path / 'a.jpg')!r}, 'JPEG', None)\n"
        f"ExifTool({str(tmp_path / 'work')!r}).make(job)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, check=False, env=dict(os.environ)
    )
    assert killed.returncode == -signal.SIGKILL
    child = Path(f"/proc/{int(killed.stdout)}/stat")
    until(lambda: not child.exists() or child.read_text().split(")")[1].split()[0] == "Z")
