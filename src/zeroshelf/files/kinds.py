"""What a file is, told by its first bytes and never by its name."""

from __future__ import annotations

HEAD = 64  # bytes that `of` wants to see

JXL = "JXL"
RAW = "RAW"
VIDEO = "VIDEO"

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIRO", RAW),  # Olympus
    (b"IIRS", RAW),
    (b"IIU\0", RAW),  # Panasonic
    (b"FOVb", RAW),  # Sigma
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
    (b"\xff\x0a", JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", JXL),
    (b"\x1aE\xdf\xa3", VIDEO),  # Matroska, WebM
)
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_VIDEO_BRANDS = {b"qt  ", b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1",
                 b"M4V ", b"3gp4", b"3gp5", b"3gp6", b"XAVC", b"MSNV", b"dash"}  # fmt: skip

# A RAW file of most makers begins as a TIFF does: there, and only there, the name has a say.
_RAWS = """.3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef
    .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f"""
_SUFFIXES = """.jpg .jpeg .jpe .jfif .png .gif .webp .tif .tiff .bmp .dib .avif .avifs .heic .heif
    .heics .hif .jxl"""
VIDEO_SUFFIXES = frozenset([".mov", ".qt", ".mp4", ".m4v", ".3gp", ".avi", ".mkv", ".webm"])
RAW_SUFFIXES = frozenset(_RAWS.split())
PICTURE_SUFFIXES = RAW_SUFFIXES | frozenset(_SUFFIXES.split())


def of(head: bytes, suffix: str) -> str | None:
    """The format as Pillow names it, `RAW`, `VIDEO`, or None for what is neither.

    `suffix` is in lower case with its dot.
    """
    for start, name in _STARTS:
        if head.startswith(start):
            return RAW if name == "TIFF" and suffix in RAW_SUFFIXES else name
    if head[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": VIDEO}.get(head[8:12])
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[4:8] == b"ftyp":
        return _of_container(head)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free") and suffix in (".mov", ".qt", ".mp4"):
        return VIDEO
    return None


def _of_container(head: bytes) -> str | None:
    """ISO base media: the major brand, then the compatible ones."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))}
    if head[8:12] == b"crx ":
        return RAW
    if head[8:12] == b"jxl ":
        return JXL
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    return VIDEO if brands & _VIDEO_BRANDS else None
