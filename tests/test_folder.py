"""What a scan finds, what it only counts, and what it never touches."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.making import JPEG, put
from tests.systems import linux_names, posix
from zeroshelf.errors import UserError
from zeroshelf.images import formats, pairs_and_sidecars, scan
from zeroshelf.images.codecs import optional
from zeroshelf.system import file_attributes

PNG = b"\x89PNG\r\n\x1a\n"


def found(root: Path, **options: object) -> list[str]:
    scanned = scan.scan(str(root), **options)  # type: ignore[arg-type]
    return [os.path.relpath(picture.path, root) for picture in scanned.pictures]


def reasons(root: Path, **options: object) -> dict[str, str]:
    scanned = scan.scan(str(root), **options)  # type: ignore[arg-type]
    return {os.path.relpath(s.path, root): s.reason for s in scanned.skipped}


@pytest.mark.parametrize(
    ("head", "suffix", "format"),
    [
        (JPEG, ".png", "JPEG"),
        (PNG, ".jpg", "PNG"),
        (b"GIF89a", ".gif", "GIF"),
        (b"RIFF\0\0\0\0WEBPVP8 ", ".webp", "WEBP"),
        (b"RIFF\0\0\0\0AVI LIST", ".avi", "VIDEO"),
        (b"RIFF\0\0\0\0WAVEfmt ", ".wav", None),
        (b"II*\0", ".tif", "TIFF"),
        (b"MM\0*", ".tif", "TIFF"),
        (b"II*\0", ".nef", "RAW"),
        (b"BM" + bytes(12) + b"\x28\0\0\0", ".bmp", "BMP"),
        (b"BMW is a car", ".bmp", None),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf", ".avif", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", ".heic", "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ".heic", "HEIF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", ".cr3", "RAW"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", ".mov", "VIDEO"),
        (b"\xff\x0a\xfa", ".jxl", "JXL"),
        (b"%PDF-1.7", ".jpg", None),
        (b"", ".jpg", None),
    ],
)
def test_kind_is_told_by_content(head: bytes, suffix: str, format: str | None) -> None:
    assert formats.of(head, suffix) == format


@linux_names
def test_pictures_below_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    for name in (b"z.jpg", b"a/b.jpg", b"a.jpg", b"\xff.jpg", "é.jpg".encode(), b"new\nline", b" "):
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        put(path, JPEG)
    names = [os.fsencode(name) for name in found(tmp_path)]
    assert names == sorted(names)
    assert len(names) == 7


def test_named_like_a_picture_but_none(tmp_path: Path) -> None:
    put(tmp_path / "empty.jpg", b"")
    put(tmp_path / "text.PNG", b"hello")
    put(tmp_path / "notes.txt", b"hello")
    with open(tmp_path / "hole.jpg", "wb") as file:
        file.truncate(10_000_000)
    scanned = scan.scan(str(tmp_path))
    assert not scanned.pictures
    assert scanned.not_pictures == 1
    assert reasons(tmp_path) == {
        "empty.jpg": "empty file",
        "hole.jpg": "no data: the file is a hole or a placeholder",
        "text.PNG": "has a picture's suffix, but its content is not a picture",
    }


def test_what_is_in_a_cloud_is_named_and_goes_where_its_picture_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = b"in the cloud"
    for name in ("alone.heic", "video.mov", "notes.txt", "a.cr2", "b.mov"):
        put(tmp_path / name, away)
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / name, JPEG)
    for name in (".c.heic.icloud", "d.jpg.nextcloud", ".notes.txt.icloud", "e.txt.nextcloud"):
        put(tmp_path / name, b"")
    monkeypatch.setattr(file_attributes, "is_placeholder", lambda at: at.st_size == len(away))
    scanned = scan.scan(str(tmp_path))
    assert reasons(tmp_path) == dict.fromkeys(
        (".c.heic.icloud", "alone.heic", "d.jpg.nextcloud", "video.mov"),
        "only a placeholder: the picture itself is in the cloud",
    )
    assert [[os.path.basename(c) for c in p.companions] for p in scanned.pictures] == [
        ["a.cr2"],
        ["b.mov"],
    ]
    assert (scanned.not_pictures, scanned.left_out) == (2, 1)


@pytest.mark.parametrize(
    ("facts", "away"),
    [
        ({"st_flags": 0x40000000}, True),  # macOS: SF_DATALESS
        ({"st_file_attributes": 0x400000}, True),  # Windows: RECALL_ON_DATA_ACCESS
        ({"st_file_attributes": 0x1000}, True),  # Windows: OFFLINE
        ({"st_flags": 0x20, "st_file_attributes": 0x20}, False),
        ({}, False),
    ],
)
def test_what_a_system_calls_a_placeholder(facts: dict[str, int], away: bool) -> None:
    assert file_attributes.is_placeholder(SimpleNamespace(**facts)) == away  # type: ignore[arg-type]


def test_hidden_excluded_own_output_and_libraries_are_left_out(tmp_path: Path) -> None:
    names = """.hidden.jpg .git/a.jpg sorted/cat/a.jpg x/tmp/a.jpg x/a.tmp.jpg @eaDir/a.jpg
        P.photoslibrary/a.jpg x/keep.jpg raw/sub/b.jpg"""
    for name in names.split():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        put(tmp_path / name, JPEG)
    options = {
        "exclude": ["tmp", "*.tmp.*", "raw/sub/*"],
        "leave_out": [str(tmp_path / "sorted")],
    }
    assert found(tmp_path, **options) == ["x/keep.jpg"]
    assert scan.scan(str(tmp_path), **options).left_out == 8  # type: ignore[arg-type]


@posix
def test_fifo_socket_and_links_never_hang(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    put(outside / "a.jpg", JPEG)
    put(root / "real.jpg", JPEG)
    os.mkfifo(root / "fifo.jpg")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(root)
        listener.bind("socket.jpg")
        os.chdir(tmp_path)
        (root / "loop").symlink_to(root)
        (root / "self.jpg").symlink_to("self.jpg")
        (root / "inner.jpg").symlink_to("real.jpg")
        (root / "outer.jpg").symlink_to(outside / "a.jpg")
        (root / "out").symlink_to(outside)
        assert found(root) == ["real.jpg"]
        assert reasons(root) == {
            "fifo.jpg": "not a regular file: never opened",
            "outer.jpg": "a link that leads out of the folder: not followed",
            "self.jpg": "a link that leads nowhere",
            "socket.jpg": "not a regular file: never opened",
        }
        assert found(root, follow=True) == ["inner.jpg", "out/a.jpg", "outer.jpg", "real.jpg"]


def test_folder_that_can_not_be_read_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    put(tmp_path / "a.jpg", JPEG)
    scandir = os.scandir

    def refusing(path: str):
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert found(tmp_path) == ["a.jpg"]
    assert reasons(tmp_path) == {"locked": "folder can't be read: Permission denied"}


def test_a_user_s_mistake_is_one_line(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", JPEG)
    with pytest.raises(UserError, match="doesn't exist"):
        scan.scan(str(tmp_path / "nope"))
    with pytest.raises(UserError, match="is a file"):
        scan.scan(str(tmp_path / "a.jpg"))


MOV = b"\0\0\0\x14ftypqt  \0\0\0\0qt  "
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
RAW = b"II*\0"


@pytest.mark.parametrize(
    ("files", "units"),
    [
        ({"a.jpg": JPEG, "a.CR2": RAW}, {"a.jpg": ["a.CR2"]}),
        ({"a.cr2": RAW, "a.xmp": b"<x>"}, {"a.cr2": ["a.xmp"]}),
        ({"a.cr2": RAW, "a.cr2.xmp": b"<x>"}, {"a.cr2": ["a.cr2.xmp"]}),
        (
            {"a.jpg": JPEG, "a.cr2": RAW, "a.cr2.xmp": b"x", "a.jpg.xmp": b"x", "A.xmp": b"x"},
            {"a.jpg": ["A.xmp", "a.cr2", "a.cr2.xmp", "a.jpg.xmp"]},
        ),
        ({"I.HEIC": HEIC, "I.MOV": MOV, "I.AAE": b"x"}, {"I.HEIC": ["I.AAE", "I.MOV"]}),
        (
            {"I.HEIC": HEIC, "I.JPG": JPEG, "I.MOV": MOV},
            {"I.HEIC": ["I.MOV"], "I.JPG": []},
        ),
        (
            {"IMG_1.HEIC": HEIC, "IMG_O1.AAE": b"x", "IMG_E1.HEIC": HEIC, "IMG_E1.MOV": MOV},
            {"IMG_1.HEIC": ["IMG_O1.AAE"], "IMG_E1.HEIC": ["IMG_E1.MOV"]},
        ),
        ({"a.jpg": JPEG, "b.mov": MOV, "b.xmp": b"x"}, {"a.jpg": []}),
        ({"a.png": PNG, "a.mov": MOV}, {"a.png": []}),
        (
            {"a.jpg": JPEG, "a.jpg.json": b"{}", "a.json": b"{}"},
            {"a.jpg": ["a.jpg.json", "a.json"]},
        ),
        ({"a.jpg": JPEG, "a.jpg.supplemental-metadata.json": b"{}"},
         {"a.jpg": ["a.jpg.supplemental-metadata.json"]}),
        ({"a.jpg": JPEG, "a.jpg.supplemental-met.json": b"{}", "a.jpg.other.json": b"{}"},
         {"a.jpg": ["a.jpg.supplemental-met.json"]}),
    ],
)  # fmt: skip
def test_companions_stay_with_their_picture(
    tmp_path: Path,
    files: dict[str, bytes],
    units: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optional, "has", lambda kind: kind != formats.VIDEO)
    for name, content in files.items():
        put(tmp_path / name, content)
    scanned = scan.scan(str(tmp_path))
    seen = {
        os.path.basename(p.path): [os.path.basename(c) for c in p.companions]
        for p in scanned.pictures
    }
    assert seen == units
    monkeypatch.setattr(optional, "has", lambda kind: True)
    with_videos = {os.path.basename(p.path) for p in scan.scan(str(tmp_path)).pictures}
    assert with_videos >= set(units)


def test_without_its_extra_a_raw_is_skipped_but_still_goes_with_its_jpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optional, "has", lambda kind: kind != formats.RAW)
    put(tmp_path / "a.jpg", JPEG)
    for name in ("a.cr2", "b.cr2"):
        put(tmp_path / name, RAW)
    scanned = scan.scan(str(tmp_path))
    assert [os.path.basename(c) for p in scanned.pictures for c in p.companions] == ["a.cr2"]
    assert reasons(tmp_path) == {"b.cr2": 'RAW: `pip install "zeroshelf[raw]"` reads it'}


def test_companion_follows_into_the_new_name() -> None:
    assert pairs_and_sidecars.renamed("IMG_O1.AAE", "IMG_1.JPG", "IMG_1.JPG") == "IMG_O1.AAE"
    assert pairs_and_sidecars.renamed("A.xmp", "a.jpg", "a (2).jpg") == "a (2).xmp"
    assert pairs_and_sidecars.renamed("a.CR2.xmp", "a.jpg", "a (3).jpg") == "a (3).CR2.xmp"
