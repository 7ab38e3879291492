"""The metadata inside of a picture's file: its XMP and its IPTC keywords, and a digest of the rest.

A file that was tagged is compared with what it was: everything but the keywords has to be the same,
to the byte. So this module parses the file itself, independently of the program that wrote the
tags.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from blake3 import blake3

from zeroshelf.actions.tags import iptc, jpeg_metadata, png_metadata, tiff_metadata
from zeroshelf.actions.tags.pieces import Kind
from zeroshelf.errors import Unreadable

FORMATS = ("JPEG", "PNG", "TIFF")  # as Picture.format says it
_WALKS = {"JPEG": jpeg_metadata.walk, "PNG": png_metadata.walk, "TIFF": tiff_metadata.walk}


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of one picture file, as `read` finds it."""

    xmp: bytes | None  # the packet as it lies in the file
    iptc: bytes | None  # the IPTC-IIM block
    iptc_digest: bytes | None  # MD5 of the IPTC block when XMP and IPTC last said the same
    rest: bytes | None  # BLAKE3 of all else in the file; None where only metadata was asked for

    @property
    def keywords(self) -> tuple[str, ...]:
        """The keywords of the IPTC block."""
        if self.iptc is None:
            return ()
        utf8 = self.is_utf8
        return tuple(
            iptc.text(value, utf8) for key, value in iptc.datasets(self.iptc) if key == iptc.KEYWORD
        )

    @property
    def is_utf8(self) -> bool:
        """True where the IPTC block says that it is."""
        return self.iptc is not None and (iptc.CHARSET, iptc.UTF8) in iptc.datasets(self.iptc)

    @property
    def has_only_keywords(self) -> bool:
        """True where nothing would be left of the IPTC block without its keywords."""
        keys = {key for key, _ in iptc.datasets(self.iptc or b"")}
        return not keys - iptc.FRAME - {iptc.KEYWORD}

    @property
    def is_synchronized(self) -> bool:
        """True where the file says that its XMP and its IPTC block agree."""
        return self.iptc is not None and self.iptc_digest == iptc.md5_of(self.iptc)


def read(path: str, format: str, *, whole: bool = False) -> Metadata:
    """The metadata of a picture in one of `FORMATS`.

    Args:
        path: the file.
        format: what it is, as `Picture.format` says it.
        whole: read the whole file, give a digest of the rest of it too, and refuse what can't be
            written safely. Otherwise the first block of each kind is taken.

    Raises:
        Unreadable: the file has a form in which tags can't be written safely.
        OSError: it can't be read.
    """
    found: dict[Kind, list[bytes]] = {"xmp": [], "iptc": [], "digest": []}
    rest = blake3()
    try:
        with open(path, "rb") as file:
            for kind, data in _WALKS[format](file, whole):
                if kind == "rest":
                    rest.update(len(data).to_bytes(8, "big"))
                    rest.update(data)
                else:
                    found[kind].append(data)
        if whole and any(len(blocks) > 1 for blocks in found.values()):
            raise Unreadable("it contains more than one block of XMP or of IPTC data")
        xmp, block, digest = (
            found[kind][0] if found[kind] else None for kind in ("xmp", "iptc", "digest")
        )
        for key, value in iptc.datasets(block or b""):
            if key != iptc.KEYWORD and key not in iptc.FRAME:
                rest.update(bytes(key) + value)
    except (struct.error, IndexError, zlib.error):
        raise Unreadable("its metadata is damaged") from None
    return Metadata(xmp, block, digest, rest.digest() if whole else None)
