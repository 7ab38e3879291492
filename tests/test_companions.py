"""What goes where a picture goes, and that other programs find it again under its new name."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from tests.making import JPEG, put
from zeroshelf.images import formats, pairs_and_sidecars, scan, video_length
from zeroshelf.images.codecs import optional
from zeroshelf.records import Picture

VIDEO = b"\0\0\0\x14ftypqt  \0\0\0\0qt  "
HEADS = {
    "JPEG": JPEG,
    "HEIF": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "RAW": b"II*\0",
    "VIDEO": VIDEO,
    "text": b"{}",
}
FORMAT_OF = {".jpg": "JPEG", ".heic": "HEIF", ".png": "PNG", ".mov": "VIDEO", ".mp4": "VIDEO",
         ".lrv": "VIDEO", ".lrf": "VIDEO", ".thm": "JPEG"}  # fmt: skip


def content(name: str) -> bytes:
    """As a camera or program would fill a file of that name."""
    low = name.lower()
    suffix = os.path.splitext(low)[1]
    if suffix in formats.RAW_SUFFIXES:
        return HEADS["RAW"]
    if suffix in FORMAT_OF:
        return HEADS[FORMAT_OF[suffix]]
    if low == "mvimg_3" or suffix.startswith(".mp") or (suffix == ".cover" and ".mp" in low):
        return VIDEO
    if low.endswith((".jpg_original", ".jpg~", ".jpg.bak", ".jpg.orig")):
        return JPEG
    return HEADS["text"]


def units(root: Path, names: list[str]) -> dict[str, list[str]]:
    for name in names:
        put(root / name, content(name))
    return {
        os.path.basename(picture.path): [os.path.basename(path) for path in picture.companions]
        for picture in scan.scan(str(root)).pictures
    }


@pytest.fixture(autouse=True)
def every_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional, "has", lambda kind: kind != formats.UNREAD_VIDEO)


UNITS = {
    "sidecars by name and by stem": (
        "A.jpg",
        "A.jpg.xmp A.xmp A.jpg.pp3 A.pp3 A.jpg.arp A.dop A.jpg.dop A.acr A.vrd A.dr4 A.on1 A.nksc "
        "A.jpg.nksc A.cos A.jpg.cos A.cop A.jpg.rrdata A.spd A.ufraw A.aae A.thm A.wav A.m4a",
    ),
    "captions and annotations": (
        "A.jpg",
        "A.txt A.caption A.tags A.json A.xml A.csv A.yaml A.npz A.jpg.txt A.jpg.json",
    ),
    "whatever has the whole name in front": ("A.jpg", "A.jpg.sha256 A.jpg.exposurex7 A.jpg.zip"),
    "darktable's further versions": ("A.jpg", "A.jpg.xmp A_01.jpg.xmp A_02.jpg.xmp A_100.jpg.xmp"),
    "and those of its RAW": ("A.jpg", "A.cr2 A.cr2.xmp A_01.cr2.xmp"),
    "backups": ("A.jpg", "A.jpg_original A.jpg~ A.jpg.bak A.jpg.orig A.xmp A.xmp_original"),
    "and of what goes along": ("A.jpg", "A.cr2 A.cr2_original A.mov A.mov_original"),
    "GoPro": ("GOPR1.JPG", "GOPR1.GPR"),
    "Hasselblad": ("B.jpg", "B.fff"),
    "RAW of many makers": ("B.jpg", "B.3fr B.srf B.iiq B.cap B.eip B.ari B.bay B.dng B.mos B.gpr"),
    "Live Photo": ("IMG_1.HEIC", "IMG_1.MOV IMG_1.AAE IMG_O1.AAE IMG_1.HEIC.json"),
    "Live Photo of icloudpd": ("IMG_1.HEIC", "IMG_1_HEVC.MOV"),
    "Pixel": ("PXL_1.MP.jpg", "PXL_1.MP PXL_1.MP.jpg.supplemental-metadata.json"),
    "Pixel, as MP4": ("PXL_1.MP.jpg", "PXL_1.MP4"),
    "Pixel's second": ("PXL_2.MP~2.jpg", "PXL_2.MP~2 PXL_2.MP~2.jpg.json"),
    "Pixel's cover": ("PXL_3.MP.COVER.jpg", "PXL_3.MP"),
    "Pixel's cover by its whole name": ("PXL_3.MP.COVER.jpg", "PXL_3.MP.COVER"),
    "Pixel's RAW": ("PXL_4.RAW-01.COVER.jpg", "PXL_4.RAW-02.ORIGINAL.dng"),
    "Pixel's RAW and video": ("PXL_4.RAW-01.MP.COVER.jpg", "PXL_4.RAW-02.ORIGINAL.dng"),
    "Pixel, numbered by Google": ("PXL_1.MP(1).jpg", "PXL_1.MP(1) PXL_1.MP.jpg(1).json"),
    "older Pixel": ("MVIMG_3.jpg", "MVIMG_3"),
    "Google's numbers": ("IMG_1(1).jpg", "IMG_1.jpg(1).json IMG_1(1).mp4"),
    "Google's newer numbers": ("IMG_1(1).jpg", "IMG_1.jpg.supplemental-metadata(1).json"),
    "Google's title without suffix": ("2234.jpg", "2234.supplemental-metadata.json"),
    "video of a GoPro": ("GX010123.MP4", "GL010123.LRV GX010123.THM"),
    "video of a Sony": ("C0001.MP4", "C0001M01.XML"),
    "video of a DJI": ("DJI_1.MP4", "DJI_1.SRT DJI_1.LRF"),
    "a RAW alone": ("A.nef", "A.xmp A.nef.xmp A_01.nef.xmp A.wav A.nef.dop"),
    "other cases": ("img_1.JPG", "IMG_1.xmp IMG_1.JPG.XMP Img_1.Cr2"),
    "accents": ("Café.jpg", "Café.jpg.xmp Café.cr2 Café_01.jpg.xmp"),
}


@pytest.mark.parametrize("name", UNITS)
def test_what_belongs_to_a_picture(name: str, tmp_path: Path) -> None:
    picture, along = UNITS[name]
    found = units(tmp_path, [picture, *along.split()])
    assert found == {picture: sorted(along.split(), key=os.fsencode)}


@pytest.mark.parametrize("name", UNITS)
def test_it_is_found_again_under_a_new_name(name: str, tmp_path: Path) -> None:
    picture, along = UNITS[name]
    stem, suffix = os.path.splitext(picture)
    new = f"{stem} (2){suffix}"
    renamed = [pairs_and_sidecars.renamed(one, picture, new) for one in along.split()]
    assert len({one.lower() for one in renamed}) == len(renamed)
    assert not {one.lower() for one in renamed} & {one.lower() for one in along.split()}
    # the kind of a file stays: what told it is its content
    for one, old in zip([new, *renamed], [picture, *along.split()], strict=True):
        put(tmp_path / one, content(old))
    found = {
        os.path.basename(p.path): sorted(os.path.basename(c) for c in p.companions)
        for p in scan.scan(str(tmp_path)).pictures
    }
    assert found == {new: sorted(renamed)}


def test_names_in_the_other_composition_of_unicode(tmp_path: Path) -> None:
    """As in a zip that a Mac made: the sidecar's name is composed, the picture's is not."""
    apart, whole = (unicodedata.normalize(form, "Café") for form in ("NFD", "NFC"))
    found = units(tmp_path, [f"{apart}.jpg", f"{whole}.jpg.xmp", f"{whole}.cr2"])
    assert found == {f"{apart}.jpg": [f"{whole}.cr2", f"{whole}.jpg.xmp"]}
    assert pairs_and_sidecars.renamed(f"{whole}.cr2", f"{apart}.jpg", "x (2).jpg") == "x (2).cr2"
    assert pairs_and_sidecars.renamed(f"{whole}.jpg.xmp", f"{apart}.jpg", "x.jpg") == "x.jpg.xmp"


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ("a.jpg a.png", {"a.jpg": [], "a.png": []}),
        ("a.jpg b.xmp ab.txt a.b.txt", {"a.jpg": []}),
        ("a.jpg a.html a.zip a.doc", {"a.jpg": []}),
        ("a.jpg b.jpg_original", {"a.jpg": [], "b.jpg_original": []}),  # its picture is gone
        ("b.thm", {"b.thm": []}),
        ("A_01.jpg A_01.jpg.xmp A.jpg", {"A_01.jpg": ["A_01.jpg.xmp"], "A.jpg": []}),
        ("PXL_1.jpg PXL_1.MP.jpg PXL_1.MP", {"PXL_1.jpg": [], "PXL_1.MP.jpg": ["PXL_1.MP"]}),
        ("a.png a.mov", {"a.png": [], "a.mov": []}),  # no still of a Live Photo
        ("a.jpg a.avi", {"a.jpg": [], "a.avi": []}),
        ("a.cr2 a.nef a.xmp", {"a.cr2": ["a.xmp"], "a.nef": []}),
        ("A.jpg_original", {"A.jpg_original": []}),
    ],
)
def test_what_does_not_belong_to_a_picture(
    tmp_path: Path, names: str, wanted: dict[str, list[str]]
) -> None:
    for name in names.split():
        put(tmp_path / name, b"RIFF\0\0\0\0AVI LIST" if name.endswith("avi") else content(name))
    found = {
        os.path.basename(p.path): [os.path.basename(c) for c in p.companions]
        for p in scan.scan(str(tmp_path)).pictures
    }
    assert found == wanted


def test_what_is_about_two_pictures_goes_with_one_and_is_known_to_the_other(
    tmp_path: Path,
) -> None:
    names = "a.png a.jpg a.txt a.xmp IMG_1.jpg IMG_1-edited.jpg IMG_1.jpg.json"
    for name in names.split():
        put(tmp_path / name, content(name))
    found = {os.path.basename(p.path): p for p in scan.scan(str(tmp_path)).pictures}

    def of(paths: tuple[str, ...]) -> list[str]:
        return [os.path.basename(path) for path in paths]

    assert of(found["a.jpg"].companions) == ["a.txt", "a.xmp"] == of(found["a.png"].shared)
    assert of(found["IMG_1.jpg"].companions) == ["IMG_1.jpg.json"]
    assert of(found["IMG_1-edited.jpg"].shared) == ["IMG_1.jpg.json"]
    assert not found["a.png"].companions and not found["a.jpg"].shared


def test_a_raw_whose_content_is_broken_stays_with_its_picture(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", JPEG)
    put(tmp_path / "a.cr2", bytes(100))
    put(tmp_path / "b.cr2", bytes(100))
    scanned = scan.scan(str(tmp_path))
    assert [os.path.basename(c) for p in scanned.pictures for c in p.companions] == ["a.cr2"]
    assert [os.path.basename(s.path) for s in scanned.skipped] == ["b.cr2"]


def test_videos_that_nothing_reads_keep_what_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thumbnail that the camera made for a video is no picture to be torn off."""
    monkeypatch.setattr(
        optional, "has", lambda kind: kind not in (formats.VIDEO, formats.UNREAD_VIDEO)
    )
    for name in ("00001.MTS", "00001.THM", "b.mp4", "b.thm", "b.srt", "lone.thm"):
        put(tmp_path / name, content(name))
    scanned = scan.scan(str(tmp_path))
    assert [os.path.basename(p.path) for p in scanned.pictures] == ["lone.thm"]
    assert scanned.ignored.not_pictures == {"THM": 2, "MP4 video": 1, "MTS video": 1, "SRT": 1}


# --- videos ---------------------------------------------------------------------------------------


def movie(path: Path, seconds: int, **options: str) -> None:
    av = pytest.importorskip("av", reason="no video encoder: pip install '.[video]'")
    import numpy as np

    kind = "mov" if path.suffix.lower() == ".mov" else "mp4"
    with av.open(str(path), "w", format=kind, options=options) as out:
        stream = out.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        frame = np.zeros((64, 64, 3), np.uint8)
        for _ in range(5 * seconds):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}])
def test_how_long_a_video_is(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    path = tmp_path / f"a{suffix}"
    movie(path, 7, **options)
    assert video_length.seconds(str(path)) == pytest.approx(7, abs=0.3)


def box(name: bytes, content: bytes, large: bool = False) -> bytes:
    if large:
        return b"\0\0\0\1" + name + (16 + len(content)).to_bytes(8, "big") + content
    return (8 + len(content)).to_bytes(4, "big") + name + content


def test_headers_that_say_how_long_or_don_t(tmp_path: Path) -> None:
    short = bytes(12) + (600).to_bytes(4, "big") + (1200).to_bytes(4, "big")
    long = b"\1" + bytes(19) + (600).to_bytes(4, "big") + (600 * 3600).to_bytes(8, "big")
    files = {
        "short": (box(b"wide", b"") + box(b"moov", box(b"mvhd", short + bytes(80))), 2.0),
        "long": (box(b"mdat", b"x" * 99, large=True) + box(b"moov", box(b"mvhd", long)), 3600.0),
        "streamed": (box(b"moov", box(b"mvhd", bytes(100))), None),
        "no scale": (box(b"moov", box(b"mvhd", bytes(16) + b"\0\0\0\1" + bytes(80))), None),
        "cut": (box(b"moov", box(b"mvhd", short + bytes(80)))[:20], None),
        "wrong size": (b"\0\0\0\2moov" + bytes(40), None),
        "nothing": (b"", None),
        "text": (b"no video at all, but a text", None),
        "only boxes": (box(b"free", b"") * 1000, None),
    }
    for name, (data, wanted) in files.items():
        (tmp_path / name).write_bytes(data)
        assert video_length.seconds(str(tmp_path / name)) == wanted, name
    assert video_length.seconds(str(tmp_path / "gone")) is None


@pytest.mark.parametrize("with_video", [True, False])
def test_a_long_video_of_the_same_name_is_no_live_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_video: bool
) -> None:
    unread = (formats.UNREAD_VIDEO,) if with_video else (formats.UNREAD_VIDEO, formats.VIDEO)
    monkeypatch.setattr(optional, "has", lambda kind: kind not in unread)
    for name in ("a.jpg", "b.heic"):
        put(tmp_path / name, content(name))
    movie(tmp_path / "a.mov", 600)
    movie(tmp_path / "b.mov", 3)
    scanned = scan.scan(str(tmp_path))
    found = {os.path.basename(p.path): p.companions for p in scanned.pictures}
    assert found.pop("a.jpg") == ()
    assert found.pop("b.heic") == (str(tmp_path / "b.mov"),)
    assert list(found) == (["a.mov"] if with_video else [])
    assert scanned.ignored.not_pictures == ({} if with_video else {"MOV video": 1})


def test_a_large_video_of_unknown_length_is_no_live_photo() -> None:
    still = Picture("/x/a.jpg", "JPEG", 10, 0, 0)
    for size, along in ((video_length.LIVE_BYTES, 1), (video_length.LIVE_BYTES + 1, 0)):
        video = Picture(
            "/x/a.mov", formats.VIDEO, size, 0, 0
        )  # no such file: nothing tells its length
        kept, _ = pairs_and_sidecars.gather([still, video], {})
        assert len(kept[0].companions) == along and len(kept) == 2 - along


def test_the_same_units_in_whatever_order_the_files_come() -> None:
    names = [name for picture, along in UNITS.values() for name in (picture, *along.split())]
    names = sorted({name for name in names if name.isascii()})

    def gathered(order: list[str]) -> list[tuple[str, tuple[str, ...]]]:
        pictures, rest = [], {}
        for name in order:
            head = content(name)
            kind = formats.of(head, os.path.splitext(name)[1].lower())
            if kind:
                pictures.append(Picture(f"/x/{name}", kind, 9, 0, 0))
            else:
                rest[f"/x/{name}"] = 9
        kept, _ = pairs_and_sidecars.gather(pictures, rest, lambda path, size: True)
        return [(picture.path, picture.companions) for picture in kept]

    assert gathered(names) == gathered(names[::-1])
    moved = [path for path, along in gathered(names) for path in (path, *along)]
    assert len(moved) == len(set(moved))
