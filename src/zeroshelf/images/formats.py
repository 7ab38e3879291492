"""A file's format, by its first bytes; by its suffix only where they are ambiguous."""

from __future__ import annotations

from collections.abc import Callable

HEAD = 64  # bytes that `of` wants to see

JXL = "JXL"
JXR = "JXR"
RAW = "RAW"
VIDEO = "VIDEO"
UNREAD_VIDEO = "UNREAD_VIDEO"  # by its suffix alone: a format without a decoder here, MTS or WMV

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIRO", RAW),  # Olympus
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"IIU\0", RAW),  # Panasonic
    (b"FOVb", RAW),  # Sigma
    (b"II\x1a\0\0\0HEAPCCDR", RAW),  # Canon's .crw
    (b"\0MRM", RAW),  # Minolta
    (b"ARRI", RAW),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
    (b"II\xbc", JXR),
    (b"\xff\x0a", JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", JXL),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),  # a bare codestream
    (b"8BPS\0\x01", "PSD"),
    (b"8BPS\0\x02", "PSD"),  # a large document
    (b"DDS \x7c\0\0\0", "DDS"),
    (b"qoif", "QOI"),
    (b"icns", "ICNS"),
    (b"\x1aE\xdf\xa3", VIDEO),  # Matroska, WebM
)
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_VIDEO_BRANDS = {b"qt  ", b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1",
                 b"M4V ", b"3gp4", b"3gp5", b"3gp6", b"XAVC", b"MSNV", b"dash"}  # fmt: skip
_QUICKTIME_ATOMS = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}  # older than `ftyp`

# A RAW file of most makers begins as a TIFF does: there, and only there, the name has a say. The
# rarer ones are names that other programs use too: such a file isn't missed if it is no picture.
_RAWS = """.3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .kdc .mef .mos .mrw .nef .nrw
    .orf .pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f"""
_RARE_RAWS = """.ari .bay .cap .cs1 .dcs .drf .eip .k25 .mdc .mfw .obm .ori .ptx .pxn .qtk .rdc .rwz
    .sti"""
_SUFFIXES = """.jpg .jpeg .jpe .jfif .png .gif .webp .tif .tiff .bmp .dib .avif .avifs .heic .heif
    .heics .hif .jxl .jxr .wdp .hdp .jp2 .j2k .j2c .jpc .jpf .jpx .ppm .pgm .pbm .pnm .pfm .tga .ico
    .cur .psd .psb .pcx .qoi .dds .icns .insp .mpo"""
VIDEO_SUFFIXES = frozenset([".mov", ".qt", ".mp4", ".m4v", ".3gp", ".avi", ".mkv", ".webm"])
RAW_SUFFIXES = frozenset(_RAWS.split() + _RARE_RAWS.split())
PICTURE_SUFFIXES = frozenset(_RAWS.split() + _SUFFIXES.split())  # content of another kind is told


def of(head: bytes, suffix: str) -> str | None:
    """The format as Pillow names it, `RAW`, `VIDEO`, or None for what is neither.

    `suffix` is in lower case with its dot.
    """
    for start, name in _STARTS:
        if head.startswith(start):
            return RAW if name == "TIFF" and suffix in RAW_SUFFIXES else name
    if head[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": VIDEO}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _of_container(head, suffix)
    if head[4:8] in _QUICKTIME_ATOMS and suffix in (".mov", ".qt", ".mp4"):
        return VIDEO
    return next((name for name, fits in _BY_HEADER.items() if fits(head, suffix)), None)


def _of_container(head: bytes, suffix: str) -> str | None:
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
    return VIDEO if brands & _VIDEO_BRANDS or suffix in VIDEO_SUFFIXES else None


# --- formats whose beginning is too short to tell them by it alone --------------------------------


def _is_bmp(head: bytes, suffix: str) -> bool:
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def _is_netpbm(head: bytes, suffix: str) -> bool:
    """P1 to P6, and PF or Pf for floats. A text that begins so has words where these have sizes."""
    if head[:1] != b"P" or head[1:2] not in b"123456Ff" or not head[2:3].isspace():
        return False
    after = head[2:].lstrip()
    return after[:1] == b"#" or (bool(after) and after.split(maxsplit=1)[0].isdigit())


def _is_icon(head: bytes, suffix: str) -> bool:
    """The list of an .ico or .cur: some entries, and the first one's picture behind the last."""
    if head[:4] not in (b"\0\0\1\0", b"\0\0\2\0") or len(head) < 22:
        return False
    count = int.from_bytes(head[4:6], "little")
    start = int.from_bytes(head[18:22], "little")
    return 0 < count < 256 and head[9] == 0 and start >= 6 + 16 * count


def _is_tga(head: bytes, suffix: str) -> bool:
    """TGA has no magic number: a header whose every field makes sense."""
    if suffix not in (".tga", ".icb", ".vda", ".targa") or len(head) < 18:
        return False
    depths = {1: {8, 16}, 2: {15, 16, 24, 32}, 3: {8, 16}}.get(head[2] & 7, set())
    known = head[1] in (0, 1) and head[2] in (1, 2, 3, 9, 10, 11) and head[16] in depths
    return known and any(head[12:14]) and any(head[14:16])


def _is_pcx(head: bytes, suffix: str) -> bool:
    return suffix in (".pcx", ".pcc") and head[:1] == b"\n" and head[2:3] == b"\1"


def _is_sgi(head: bytes, suffix: str) -> bool:
    return suffix in (".sgi", ".rgb", ".rgba", ".bw") and head[:2] == b"\x01\xda"


_BY_HEADER: dict[str, Callable[[bytes, str], bool]] = {
    "BMP": _is_bmp,
    "PPM": _is_netpbm,
    "ICO": _is_icon,
    "TGA": _is_tga,
    "PCX": _is_pcx,
    "SGI": _is_sgi,
}
