"""XMP as text: the elements of a packet with their places in the file.

An edit replaces the bytes between two places; all other bytes stay as they are. A library that
parses XML and writes it again would change white space, prefixes and quotes.
"""

from __future__ import annotations

import codecs
import re
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from xml.parsers import expat

from zeroshelf.errors import Unreadable

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
META = "adobe:ns:meta/"  # x:xmpmeta, x:xapmeta in old files
_XMLNS = {"xml": "http://www.w3.org/XML/1998/namespace"}
# Which encodings a sidecar may have: by its byte order mark, its first bytes, or its declaration.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WITHOUT_BOM = (
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_BYTE_ENCODINGS = {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"}
# A start tag: ">" may stand in an attribute's value. expat has found it well-formed.
_START_TAG = re.compile(rb"""<[^\s/>]++(?:[^>"']|"[^"]*+"|'[^']*+')*+>""")
DEEPEST = 200  # elements, one in the other: those of real files have a dozen levels


Edit: TypeAlias = tuple[int, int, bytes]  # start and end in Packet.data, and what replaces it


@dataclass(slots=True, eq=False)
class Element:
    """An XML element with its place in `Packet.data`."""

    space: str
    name: str
    prefix: str  # as written before the name, with its colon; "" without one
    attributes: dict[tuple[str, str], str]
    scope: ChainMap[str, str]  # prefix -> namespace
    start: int  # where "<" is, in bytes; `inside` is after the start tag, `close` before the end
    inside: int
    close: int = 0
    end: int = 0
    empty: bool = False  # written as <x/>
    texts: list[str] = field(default_factory=list)
    children: list[Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of this element, without that of its children."""
        return "".join(self.texts)

    def those(self, space: str, name: str) -> list[Element]:
        """The children with this namespace and local name."""
        return [child for child in self.children if (child.space, child.name) == (space, name)]


@dataclass(frozen=True, slots=True)
class Packet:
    """An XMP packet as text, with the elements that describe the document."""

    data: bytes  # UTF-8, without a byte order mark
    byte_order_mark: bytes  # empty where the file has none
    encoding: str
    descriptions: tuple[Element, ...]  # those of the document itself
    others: tuple[Element, ...]  # those of other files: ingredients, layers


class _Builder:
    """Elements from expat's events. Namespaces are resolved here, because expat would hide the
    prefixes, and what is inserted has to use those that are in force there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._open: list[Element] = []
        self.root: Element | None = None
        # The text is UTF-8 by now, whatever its declaration says.
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise Unreadable(f"the sidecar is not XML: {error}") from None

    def _doctype(self, *_: object) -> None:
        raise Unreadable("the sidecar declares a document type")  # entities could grow without end

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) == DEEPEST:
            raise Unreadable("the sidecar is nested too deeply to be XMP")
        scope = self._open[-1].scope if self._open else ChainMap(_XMLNS)
        declared = {
            key[6:]: value
            for key, value in attributes.items()
            if key == "xmlns" or key.startswith("xmlns:")
        }
        if declared:
            scope = scope.new_child(declared)
        prefix, space, local = _resolve(name, scope, scope.get("", ""))
        start = self._parser.CurrentByteIndex
        match = _START_TAG.match(self._data, start)
        if match is None:
            raise Unreadable("the sidecar is not XML that can be edited")
        others = {
            _resolve(key, scope, "")[1:]: value
            for key, value in attributes.items()
            if key != "xmlns" and not key.startswith("xmlns:")
        }
        element = Element(space, local, prefix, others, scope, start, match.end())
        element.empty = match[0].endswith(b"/>")
        if self._open:
            self._open[-1].children.append(element)
        elif self.root is None:
            self.root = element
        self._open.append(element)

    def _end(self, name: str) -> None:
        element = self._open.pop()
        if element.empty:
            element.close = element.end = element.inside
        else:
            element.close = self._parser.CurrentByteIndex
            element.end = self._data.index(b">", element.close) + 1

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1].texts.append(text)


def _resolve(name: str, scope: Mapping[str, str], default: str) -> tuple[str, str, str]:
    """The prefix with its colon, the namespace and the local name of "prefix:local"."""
    prefix, colon, local = name.rpartition(":")
    if not colon:
        return "", default, name
    if prefix not in scope:
        raise Unreadable(f'the sidecar is not XMP: the prefix "{prefix}:" is not declared')
    return prefix + colon, scope[prefix], local


def decoded(data: bytes) -> tuple[bytes, bytes, str]:
    """The text in UTF-8, its byte order mark (empty where it has none) and its encoding.

    Raises:
        Unreadable: the encoding is unknown, or decoding and encoding again gives other bytes.
    """
    bom, encoding = next((m for m in _BYTE_ORDER_MARKS if data.startswith(m[0])), (b"", ""))
    if not encoding:
        encoding = next((name for start, name in _WITHOUT_BOM if data.startswith(start)), "")
    if not encoding:
        declared = _DECLARED.match(data)
        name = declared[1].decode() if declared else "utf-8"
        try:
            encoding = codecs.lookup(name).name
        except LookupError:
            encoding = ""
        if encoding not in _BYTE_ENCODINGS:
            raise Unreadable(f"the sidecar is written in {name}, which isn't supported")
    try:
        text = data[len(bom) :].decode(encoding)
        if text.encode(encoding) != data[len(bom) :]:
            raise ValueError
    except ValueError:
        raise Unreadable(f"the sidecar is not text in {encoding}") from None
    return text.encode(), bom, encoding


def read(data: bytes) -> Packet:
    """Parse a sidecar or the XMP packet of a picture's file.

    Raises:
        Unreadable: it is not XMP, or in an encoding or form that can't be edited safely.
    """
    text, bom, encoding = decoded(data)
    root = _Builder(text).root
    if root is None:
        raise Unreadable("the sidecar is not XML: no element")
    if (root.space, root.name) == (RDF, "RDF"):
        found = [root]
    else:
        found = root.those(RDF, "RDF") if root.space == META else []
    if len(found) != 1:
        raise Unreadable("the sidecar is not XMP: no rdf:RDF, or more than one")
    return Packet(text, bom, encoding, *_documents(found[0]))


def _documents(rdf: Element) -> tuple[tuple[Element, ...], tuple[Element, ...]]:
    """The descriptions of the document itself: those directly below rdf:RDF whose rdf:about is
    empty or missing, or else those of the one name that all have. Then the descriptions of others.
    """
    about: dict[str, list[Element]] = {}
    for description in rdf.those(RDF, "Description"):
        attributes = description.attributes
        name = attributes.get((RDF, "about"), attributes.get(("", "about"), ""))
        for key in ("ID", "nodeID"):
            name = attributes.get((RDF, key), name)
        about.setdefault(name, []).append(description)
    if not about:
        raise Unreadable("the sidecar is not XMP: no rdf:Description")
    if "" not in about and len(about) > 1:
        raise Unreadable(
            "the sidecar describes several files, and doesn't say which is the picture"
        )
    own = about.pop("") if "" in about else about.popitem()[1]
    return tuple(own), tuple(other for others in about.values() for other in others)


def encoded(packet: Packet, edits: Sequence[Edit]) -> bytes:
    """The content of the file after `edits`, in its own encoding."""
    unicode = packet.encoding.startswith(
        "utf-"
    )  # in others, only ASCII is safe: some readers ignore the encoding
    pieces, at = [], 0
    for start, end, new in sorted(edits):
        pieces += [packet.data[at:start], new if unicode else _in_ascii(new)]
        at = end
    text = b"".join((*pieces, packet.data[at:])).decode()
    return packet.byte_order_mark + text.encode(packet.encoding)


def _in_ascii(text: bytes) -> bytes:
    return text.decode().encode("ascii", "xmlcharrefreplace")
