"""What a scan leaves out or takes for no picture: by which rule, and that nothing is silent."""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path

import pytest

from tests.colours import BLUE, RED, ColourEncoder, paint
from tests.making import JPEG, put
from tests.program import command
from tests.systems import links
from zeroshelf.errors import UserError
from zeroshelf.images import formats, ignored, left_out, other_files, scan
from zeroshelf.images.codecs import optional
from zeroshelf.records import Ignored
from zeroshelf.run import classify, reopen


def found(root: Path, **options: object) -> list[str]:
    scanned = scan.scan(str(root), **options)  # type: ignore[arg-type]
    return [os.path.relpath(picture.path, root) for picture in scanned.pictures]


def put_deep(path: Path, content: bytes = JPEG) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, content)


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir", "#recycle", "#snapshot", "@tmp", "@sharebin",  # Synology
        "@Recycle", "@Recently-Snapshot", "@__thumb", ".@__thumb", "@Transcode",  # QNAP
        ".snapshot", "~snapshot", ".ckpt", ".zfs", ".snapshots", ".recycle", ".Trash-1000",
        "Network Trash Folder", "Temporary Items", ".AppleDouble", ".Trashes", ".TemporaryItems",
        "$RECYCLE.BIN", "RECYCLER", "System Volume Information", "lost+found", "__MACOSX",
        "Network Recycle Bin", "Recycle Bin", "Recycle Bin - Volume_1", "trashbox",
        "@GMT-2024.01.31-12.00.00", ".dtrash", ".thumbnails", ".picasaoriginals",
        "P.photoslibrary", "P.photolibrary", "P.aplibrary", "P.migratedphotolibrary",
        "C Previews.lrdata", "C Smart Previews.lrdata", "C.lrcat-data", "C.lrlibrary",
        "C.cocatalog", "[Originals]", "CaptureOne/Cache", "CaptureOne/Settings153",
        "photo.jpg.download",
    ],
)  # fmt: skip
def test_folders_that_are_not_for_sorting(tmp_path: Path, name: str) -> None:
    for other in (name, name.upper()):
        put_deep(tmp_path / "x" / other / "deep" / "a.jpg")
    put_deep(tmp_path / "x" / "keep.jpg")
    scanned = scan.scan(str(tmp_path))
    assert found(tmp_path) == ["x/keep.jpg"]
    assert scanned.left_out == len(os.listdir(tmp_path / "x")) - 1


@pytest.mark.parametrize(
    "name",
    [
        "Trash", "snapshot", "Cache", "Originals", "Settings", "Recycled art", "tmp", "downloads",
        "my@tmp", "Recycle Bins", "CaptureOne", "Adjustments", "Photos Library", "@home", "#1",
    ],
)  # fmt: skip
def test_folders_whose_names_are_people_s_own(tmp_path: Path, name: str) -> None:
    put_deep(tmp_path / name / "a.jpg")
    assert found(tmp_path) == [f"{name}/a.jpg"]


def test_the_inside_of_a_capture_one_catalogue_on_windows(tmp_path: Path) -> None:
    for name in ("Cache", "Originals", "Adjustments", "Mine"):
        put_deep(tmp_path / "Cat" / name / "a.jpg")
    put_deep(tmp_path / "Cat" / "Cat.cocatalogdb", b"SQLite format 3\0")
    assert found(tmp_path) == ["Cat/Mine/a.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg.part", "a.jpg.crdownload", "a.jpg.tmp", "a.jpg.!sync", "a.jpg.download",
        "a.jpg.partial", "a.jpg.opdownload", "a.jpg.filepart", "a.jpg.!ut", "a.jpg.bc!",
        "a.JPG.PART", "~$a.jpg", "~syncthing~a.jpg.tmp", ".syncthing.a.jpg.tmp",
        ".goutputstream-ABC123", ".a.jpg.AbC123", "._a.jpg", "a.jpg_exiftool_tmp",
        "Thumbs.db", "ehthumbs.db", "desktop.ini",
        "a.jpg@SynoResource", "a.jpg@SynoEAStream", "Unconfirmed 123456.crdownload",
    ],
)  # fmt: skip
def test_files_that_are_half_there_or_the_system_s(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, JPEG)
    put(tmp_path / "b.jpg", JPEG)
    scanned = scan.scan(str(tmp_path))
    assert [os.path.basename(p.path) for p in scanned.pictures] == ["b.jpg"]
    assert scanned.left_out == 1 and not scanned.not_pictures and not scanned.skipped
    assert not scanned.pictures[0].companions


def test_a_download_that_a_file_beside_it_tells_of(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.jpg.aria2", "b.jpg"):
        put(tmp_path / name, JPEG)
    assert found(tmp_path) == ["b.jpg"]
    assert scan.scan(str(tmp_path)).ignored.left_out == {left_out.UNFINISHED: 2}


@links
def test_counts_by_reason(tmp_path: Path) -> None:
    names = (
        ".h.jpg .git/a.jpg out/a.jpg no/a.jpg #recycle/a.jpg P.photoslibrary/a.jpg a.part keep.jpg"
    )
    for name in names.split():
        put_deep(tmp_path / name)
    (tmp_path / "link.jpg").symlink_to("keep.jpg")
    (tmp_path / "link").symlink_to("keep.jpg")
    scanned = scan.scan(str(tmp_path), exclude=["no"], leave_out=[str(tmp_path / "out")])
    assert scanned.ignored.left_out == {
        left_out.HIDDEN: 2,
        left_out.LINK: 2,
        left_out.EXCLUDED: 1,
        left_out.OUTPUT: 1,
        left_out.SYSTEM: 1,
        left_out.CATALOGUE: 1,
        left_out.UNFINISHED: 1,
    }
    assert scanned.left_out == 9


# --- other file types -----------------------------------------------------------------------------


def test_counts_by_kind(tmp_path: Path) -> None:
    names = """a.mts b.MTS c.m2ts d.wmv e.mpg f.pdf g.html h.doc i.docx j.zip k l.py m.svg
        n.heic.txt o.JP no.suffix-that-is-long"""
    for name in names.split():
        put(tmp_path / name, b"G@\0")
    counts = scan.scan(str(tmp_path)).ignored.not_pictures
    assert counts == {
        "MTS video": 2, "DOC": 1, "DOCX": 1, "HTML": 1, "JP": 1, "M2TS video": 1, "MPG video": 1,
        "PDF": 1, "PY": 1, "SVG": 1, "TXT": 1, "WMV video": 1, "ZIP": 1, "other": 2,
    }  # fmt: skip
    assert next(iter(counts)) == "MTS video" and list(counts)[-1] == "other"
    line = other_files.line(counts)
    assert line is not None and line.startswith("Not pictures, left where they are: 2 MTS videos, ")
    assert line.endswith(", 9 other")


def test_a_kind_by_its_name() -> None:
    assert other_files.kind_of("a.ts", b"G@\0\x10") == "TS video"
    assert other_files.kind_of("a.ts", b"import x") == "TS"
    assert (
        other_files.kind_of("a.\x1b[31m")
        == other_files.kind_of("a. x")
        == other_files.kind_of("a")
        == "other"
    )
    assert other_files.line({}) is None and other_files.left_out_line({}) is None


def test_thousands_of_suffixes_are_not_thousands_of_types(tmp_path: Path) -> None:
    for number in range(300):
        put(tmp_path / f"a.x{number}", b"x")
    counts = scan.scan(str(tmp_path)).ignored.not_pictures
    assert len(counts) <= 51 and sum(counts.values()) == 300


def test_videos_that_an_extra_would_read(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"MOV video": 2, "MTS video": 1}
    monkeypatch.setattr(optional, "has", lambda kind: True)
    assert (
        other_files.line(counts) == "Not pictures, left where they are: 2 MOV videos, 1 MTS video"
    )
    monkeypatch.setattr(optional, "has", lambda kind: kind != formats.VIDEO)
    line = other_files.line(counts)
    assert line is not None and line.endswith(' (MOV: `pip install "zeroshelf[video]"` reads it)')


# --- what was asked -------------------------------------------------------------------------------


def test_patterns_that_match_nothing_are_told(tmp_path: Path) -> None:
    for name in ("x/a.jpg", "tmp/b.jpg", ".git/c.jpg"):
        put_deep(tmp_path / name)
    patterns = ["tmp/", "*.nef", "x/nothing/*", ".git", "[", "X"]
    scanned = scan.scan(str(tmp_path), exclude=patterns)
    assert scanned.warnings == tuple(
        f"exclude {pattern!r} matches nothing" for pattern in ("*.nef", "x/nothing/*", "[", "X")
    )
    assert not scan.scan(str(tmp_path), exclude=["*.jpg"]).warnings


def test_one_pattern_is_no_row_of_letters(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "x/c.jpg"):
        put_deep(tmp_path / name)
    scanned = scan.scan(str(tmp_path), exclude="x")
    assert found(tmp_path, exclude="x") == ["a.jpg", "b.jpg"] and not scanned.warnings


@links
@pytest.mark.parametrize(
    "name",
    [
        "P.photoslibrary",
        "P.lrdata",
        "P.aplibrary",
        "C.cocatalog",
        "P.PhotosLibrary",
        "P.lrcat-data",
    ],
)
def test_a_library_is_no_folder_to_sort(tmp_path: Path, name: str) -> None:
    put_deep(tmp_path / name / "originals" / "0" / "a.jpg")
    for path in (tmp_path / name, tmp_path / "link"):
        if path.name == "link":
            path.symlink_to(tmp_path / name)
        with pytest.raises(UserError, match="the library of a photo program") as trouble:
            scan.scan(str(path))
        assert "export" in str(trouble.value)
    inside = scan.scan(str(tmp_path / name / "originals"))
    assert len(inside.pictures) == 1
    (warning,) = inside.warnings
    assert "use --as copy, not --as move" in warning


@pytest.mark.usefixtures("colours")
def test_nothing_is_moved_out_of_a_library(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    originals = tmp_path / "P.photoslibrary" / "originals"
    paint(originals / "a.jpg", RED)
    words = ("sort", originals, "-l", "red", "--to", tmp_path / "s", "--yes", "--as")
    assert command(*words, "move") == 2
    assert "belongs to a photo program" in capsys.readouterr().err
    assert (originals / "a.jpg").exists() and not (tmp_path / "s").exists()
    assert command(*words, "copy") == 0
    assert "use --as copy, not --as move" in capsys.readouterr().err


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    paint(root / "a.jpg", RED)
    paint(root / "b.png", BLUE)
    for name in ("c.mts", "d.MTS", "e.pdf", ".hidden", "f.crdownload"):
        put(root / name, b"G@\0")
    put_deep(root / "#snapshot" / "a.jpg")
    return root


@pytest.mark.usefixtures("colours")
def test_it_is_said_on_the_screen_in_json_in_the_report_and_on_the_page(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], encoder: ColourEncoder
) -> None:
    words = ("sort", mixed, "-l", "red", "-l", "blue", "--to", tmp_path / "s", "--yes")
    assert command(*words, "--exclude", "*.nope") == 0
    said, trouble = capsys.readouterr()
    assert "Not pictures, left where they are: 2 MTS videos, 1 PDF\n" in said
    assert (
        "Left out: hidden 1; trash, snapshots and system files 1; unfinished downloads 1\n" in said
    )
    assert "exclude '*.nope' matches nothing" in trouble
    run = reopen(encoder=encoder)
    assert run.ignored.not_pictures == {"MTS video": 2, "PDF": 1}
    assert sum(run.ignored.left_out.values()) == 3
    assert run.record is not None
    report = (Path(run.record) / "report.html").read_text("utf-8")
    assert "2 MTS videos, 1 PDF" in report and "unfinished downloads 1" in report
    (tmp_path / "s2").mkdir()
    assert command("sort", mixed, "-l", "red", "--to", tmp_path / "s2", "-n", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["not_pictures"] == {"MTS video": 2, "PDF": 1}
    assert facts["left_out"][left_out.UNFINISHED] == 1 and facts["left_behind"] == []
    assert command("suggest", mixed) == 0
    assert "2 MTS videos" in capsys.readouterr().out


@pytest.mark.usefixtures("colours")
def test_a_folder_without_pictures_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_deep(tmp_path / "p" / "a.mts", b"G@\0")
    assert command("sort", tmp_path / "p", "-l", "red", "--to", tmp_path / "s", "-y") == 2
    assert re.search("no pictures in .*; not pictures, .* 1 MTS video", capsys.readouterr().err)


def test_warnings_are_python_s_without_a_callback(mixed: Path, encoder: ColourEncoder) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        classify(mixed, ["red"], encoder=encoder, exclude=["*.nope"])
    assert [str(one.message) for one in heard] == ["exclude '*.nope' matches nothing"]
    told: list[str] = []
    classify(mixed, ["red"], encoder=encoder, exclude=["*.nope"], warn=told.append)
    assert told == ["exclude '*.nope' matches nothing"]


def test_records_that_hold_no_counts(tmp_path: Path) -> None:
    """Those of zeroshelf 0.1.0, and damaged ones."""
    counts = Ignored({"PDF": 1}, {"hidden": 2})
    ignored.save(str(tmp_path), counts)
    assert ignored.load(str(tmp_path)) == counts
    for text in ("", "[]", '{"not_pictures": 3, "left_out": {}}', '{"left_out": {"x": "y"}}'):
        (tmp_path / "ignored.json").write_text(text)
        assert ignored.load(str(tmp_path)) == Ignored()
    (tmp_path / "ignored.json").unlink()
    assert ignored.load(str(tmp_path)) == Ignored() and ignored.lines(Ignored()) == ()
