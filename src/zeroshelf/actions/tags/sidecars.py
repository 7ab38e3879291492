"""Tags in XMP, for Lightroom, digiKam, Immich and darktable: bytes in, bytes out.

A tag is a path, "zeroshelf/animals/cat". It goes into three lists, because no two programs read the
same one: `dc:subject` and `digiKam:TagsList` with "/", `lr:hierarchicalSubject` with "|". Only the
document's own lists count, never those of an ingredient or a layer that the file describes too.

A program that reads one list doesn't look at the others any more: Immich reads `TagsList`, then
`hierarchicalSubject`, then `dc:subject`, and stops at the first that is there. So a list that is
made anew also gets the keywords that the other lists hold already. A property of our own,
`zeroshelf:Copied`, remembers which those are, so that they can be taken away again with the list.

The file is edited in place, as text: everything that isn't a tag stays, to the byte.
"""

from __future__ import annotations

import codecs
import os
import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import escape

from zeroshelf.errors import Unreadable
from zeroshelf.images import formats
from zeroshelf.records import Picture

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META = "adobe:ns:meta/"  # x:xmpmeta, x:xapmeta in old files
_XMLNS = {"xml": "http://www.w3.org/XML/1998/namespace"}
_EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="{_META}">
 <rdf:RDF xmlns:rdf="{_RDF}">
  <rdf:Description rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()

# Which encodings a sidecar may have: by its byte order mark, its first bytes, or its declaration.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED = (
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_BYTE_ENCODINGS = {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"}

# A start tag: ">" may stand in an attribute's value. expat has found it well-formed.
_START_TAG = re.compile(rb"""<[^\s/>]++(?:[^>"']|"[^"]*+"|'[^']*+')*+>""")
_DEEPEST = 200  # elements, one in the other: those of real files have a dozen levels
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WAS_EMPTY = b" "  # before an end tag that we wrote: the element was <x/>
_SWAP = {ord("/"): "|", ord("|"): "/"}


def _same(text: str) -> str:
    return text


def _swapped(text: str) -> str:
    """ "Places|AC/DC" of Lightroom is "Places/AC|DC" of Immich, and the other way round."""
    return text.translate(_SWAP)


@dataclass(frozen=True, slots=True)
class _List:
    """A property that holds keywords. `written` and `read`: from a tag's path and back."""

    spaces: tuple[str, ...]  # its namespace; further ones that are read as the same
    prefix: str
    name: str
    container: str = "Bag"
    written: Callable[[str], str] = _same
    read: Callable[[str], str] = _same

    @property
    def title(self) -> str:
        return f"{self.prefix}:{self.name}"


_SUBJECT = _List(("http://purl.org/dc/elements/1.1/",), "dc", "subject")
_HIERARCHICAL = _List(
    ("http://ns.adobe.com/lightroom/1.0/",), "lr", "hierarchicalSubject", "Bag", _swapped, _swapped
)
_TAGS_LIST = _List(("http://www.digikam.org/ns/1.0/",), "digiKam", "TagsList", "Seq")
_OURS = (_SUBJECT, _HIERARCHICAL, _TAGS_LIST)
_COPIED = _List(("urn:zeroshelf:xmp/1.0/",), "zeroshelf", "Copied")
# What other programs keep hierarchies in: read, and freed of our tags if one copied them there.
_MIRRORS = (
    _List(
        ("http://ns.microsoft.com/photo/1.0/", "http://ns.microsoft.com/photo/1.0"),
        "MicrosoftPhoto",
        "LastKeywordXMP",
    ),
    _List(
        ("http://ns.adobe.com/lightroom/1.0/",),
        "lr",
        "HierarchicalSubject",
        "Bag",
        _swapped,
        _swapped,
    ),
    _List(
        ("http://ns.iview-multimedia.com/mediapro/1.0/",),
        "mediapro",
        "CatalogSets",
        "Bag",
        _swapped,
        _swapped,
    ),
    _List(
        ("http://ns.microsoft.com/expressionmedia/1.0/",),
        "expressionmedia",
        "CatalogSets",
        "Bag",
        _swapped,
        _swapped,
    ),
)
_Category: TypeAlias = tuple[tuple[str, ...], ElementTree.Element]  # the names above it, itself
_CATEGORIES = ("http://ns.acdsee.com/iptc/1.0/", "categories")


@dataclass(frozen=True, slots=True)
class Keywords:
    """What a picture or its sidecar is tagged with already."""

    flat: tuple[str, ...] = ()  # plain words, as in dc:subject
    paths: tuple[str, ...] = ()  # with "/" between the parts, as in digiKam:TagsList

    @property
    def all(self) -> tuple[str, ...]:
        """The paths, then the words that are no part of one: Lightroom writes the last part of each
        path into dc:subject too."""
        parts = {part for path in self.paths for part in path.split("/")}
        alone = (word for word in self.flat if word not in parts and word not in self.paths)
        return (*self.paths, *alone)


NONE = Keywords()


def tag(label: str, prefix: str) -> str:
    """The path of a label below `prefix`, in characters that XML and both separators allow."""
    parts = [part.strip() for part in f"{prefix}/{label}".split("/")]
    clean = (_NO_XML.sub("_", part).replace("|", "_") for part in parts if part)
    return "/".join(" ".join(part.split()) for part in clean)


def path_for(picture: Picture) -> str:
    """The sidecar that the picture has already, in either naming; else `photo.jpg.xmp`, and
    `photo.xmp` for a RAW."""
    stem, suffix = os.path.splitext(picture.path)
    wanted = {os.path.basename(name).lower() for name in (picture.path + ".xmp", stem + ".xmp")}
    there = [c for c in picture.companions if os.path.basename(c).lower() in wanted]
    if there:
        return max(there, key=len)  # photo.jpg.xmp before photo.xmp
    return stem + ".xmp" if suffix.lower() in formats.RAW_SUFFIXES else picture.path + ".xmp"


def rewrite(
    data: bytes | None, add: Sequence[str], remove: Sequence[str], known: Keywords = NONE
) -> bytes | None:
    """The sidecar `data` without the tags `remove` and with the tags `add`, in this order.

    Args:
        data: the sidecar's content; None where there is none yet.
        add: whole tags, as `tag` makes them. One that is there already isn't added twice.
        remove: whole tags, exactly as they were written. One that isn't there is passed over.
        known: keywords that the picture's own file holds. A list that is made here gets them too.

    Returns:
        The new content, `data` itself where nothing changes, and None where no sidecar is needed:
        nothing was added, and there was none, or nothing but our tags was in it.

    Raises:
        Unreadable: it is no XMP, or its lists have a form that can't be edited safely.
    """
    gone = frozenset(remove)
    left = data if data is None or not gone else _without(data, gone.__contains__)
    if not add:
        return left
    if data is not None and left is None:
        left = _EMPTY  # what was in it was ours
    new = _with(_EMPTY if left is None else left, add, known)
    return data if data is not None and new == data else new


def add(data: bytes | None, tag: str) -> bytes:
    """`rewrite` with one tag more. Raises `Unreadable`."""
    new = rewrite(data, [tag], [])
    assert new is not None
    return new


def remove(data: bytes, prefix: str) -> bytes | None:
    """The sidecar without any tag below `prefix`; see `rewrite`. One that never mentions the prefix
    is returned as it is, in whatever form. Raises `Unreadable`."""
    first = prefix.split("/", maxsplit=1)[0]
    if escape(first) == first and first not in _decoded(data)[0].decode():
        return data
    return _without(data, lambda tag: tag.startswith(prefix + "/"), for_good=True)


def tags(data: bytes) -> set[str]:
    """The tags as digiKam sees them. Raises `Unreadable`."""
    return set(_texts(_read(data), _TAGS_LIST))


def keywords(data: bytes) -> Keywords:
    """All keywords of the document, whoever wrote them and into which list. Raises `Unreadable`."""
    return _keywords(_read(data))


# --- the file as elements with their places -----------------------------------------------------


@dataclass(slots=True, eq=False)
class _Element:
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
    children: list[_Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its own, not its children's."""
        return "".join(self.texts)

    def those(self, space: str, name: str) -> list[_Element]:
        return [child for child in self.children if (child.space, child.name) == (space, name)]


@dataclass(frozen=True, slots=True)
class _Packet:
    data: bytes  # UTF-8, without a byte order mark
    mark: bytes
    encoding: str
    descriptions: tuple[_Element, ...]  # those of the document itself


class _Builder:
    """Elements from expat's events. Namespaces are resolved here, because expat would hide the
    prefixes, and what is inserted has to use those that are in force there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._open: list[_Element] = []
        self.root: _Element | None = None
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
            raise Unreadable(f"the sidecar is no XML: {error}") from None

    def _doctype(self, *_: object) -> None:
        raise Unreadable("the sidecar declares a document type")  # entities could grow without end

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) == _DEEPEST:
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
            raise Unreadable("the sidecar is no XML that can be edited")
        others = {
            _resolve(key, scope, "")[1:]: value
            for key, value in attributes.items()
            if key != "xmlns" and not key.startswith("xmlns:")
        }
        element = _Element(space, local, prefix, others, scope, start, match.end())
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
        raise Unreadable(f'the sidecar is no XMP: it never says what "{prefix}:" means')
    return prefix + colon, scope[prefix], local


def _decoded(data: bytes) -> tuple[bytes, bytes, str]:
    """UTF-8, the byte order mark that was before it, and the encoding that it had."""
    mark, encoding = next((m for m in _MARKS if data.startswith(m[0])), (b"", ""))
    if not encoding:
        encoding = next((name for start, name in _UNMARKED if data.startswith(start)), "")
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
        text = data[len(mark) :].decode(encoding)
        if text.encode(encoding) != data[len(mark) :]:
            raise ValueError
    except ValueError:
        raise Unreadable(f"the sidecar is no text in {encoding}") from None
    return text.encode(), mark, encoding


def _read(data: bytes) -> _Packet:
    text, mark, encoding = _decoded(data)
    root = _Builder(text).root
    if root is None:
        raise Unreadable("the sidecar is no XML: no element")
    if (root.space, root.name) == (_RDF, "RDF"):
        found = [root]
    else:
        found = root.those(_RDF, "RDF") if root.space == _META else []
    if len(found) != 1:
        raise Unreadable("the sidecar is no XMP: no rdf:RDF, or more than one")
    return _Packet(text, mark, encoding, _documents(found[0]))


def _documents(rdf: _Element) -> tuple[_Element, ...]:
    """The descriptions of the document itself: those directly below rdf:RDF whose rdf:about is
    empty or missing. Where none is, the name that all of them have."""
    about: dict[str, list[_Element]] = {}
    for description in rdf.those(_RDF, "Description"):
        attributes = description.attributes
        name = attributes.get((_RDF, "about"), attributes.get(("", "about"), ""))
        for key in ("ID", "nodeID"):
            name = attributes.get((_RDF, key), name)
        about.setdefault(name, []).append(description)
    if not about:
        raise Unreadable("the sidecar is no XMP: no rdf:Description")
    if "" not in about and len(about) > 1:
        raise Unreadable("the sidecar describes several files: which one is the picture?")
    own = about.pop("") if "" in about else about.popitem()[1]
    ours = {(one.spaces[0], one.name) for one in _OURS}
    for description in (other for others in about.values() for other in others):
        # Adobe's programs read all of them as one, and a list that is there twice as an error.
        if ours & ({(c.space, c.name) for c in description.children} | set(description.attributes)):
            raise Unreadable("the sidecar holds the keywords of another file too")
    return tuple(own)


def _encoded(packet: _Packet, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    """The packet with some of its bytes replaced: (start, end, what is there instead)."""
    unicode = packet.encoding.startswith("utf-")  # else: not every reader asks which it is
    pieces, at = [], 0
    for start, end, new in sorted(edits):
        pieces += [packet.data[at:start], new if unicode else _in_ascii(new)]
        at = end
    text = b"".join((*pieces, packet.data[at:])).decode()
    return packet.mark + text.encode(packet.encoding)


def _in_ascii(text: bytes) -> bytes:
    return text.decode().encode("ascii", "xmlcharrefreplace")


# --- lists --------------------------------------------------------------------------------------


def _properties(packet: _Packet, which: _List) -> Iterator[_Element]:
    for description in packet.descriptions:
        for space in which.spaces:
            yield from description.those(space, which.name)


def _holder(found: _Element, which: _List) -> _Element | None:
    """The rdf:Bag or rdf:Seq of a list; None where it has none yet. Raises `Unreadable` for every
    other form: simple text, a structure, a reference."""
    odd = {"parseType", "resource", "nodeID", "datatype"} & {
        name for space, name in found.attributes if space == _RDF
    }
    containers = [c for name in ("Bag", "Seq", "Alt") for c in found.those(_RDF, name)]
    if odd or found.text.strip() or len(found.children) > len(containers) or len(containers) > 1:
        raise Unreadable(f"{which.title} in the sidecar is no list of keywords")
    for container in containers:
        strays = container.text.strip() or any(
            space == _RDF and name != "nodeID" for space, name in container.attributes
        )
        if strays or len(container.children) > len(container.those(_RDF, "li")):
            raise Unreadable(f"{which.title} in the sidecar is no list of keywords")
    return containers[0] if containers else None


def _items(packet: _Packet, which: _List) -> list[_Element]:
    """Raises `Unreadable` where the property is there in another form than as a list."""
    for description in packet.descriptions:
        if any((space, which.name) in description.attributes for space in which.spaces):
            raise Unreadable(f"{which.title} in the sidecar is no list of keywords")
    holders = [_holder(found, which) for found in _properties(packet, which)]
    return [item for holder in holders if holder is not None for item in holder.children]


def _loose(packet: _Packet, which: _List) -> Iterator[str]:
    """Every text in a property, whatever its form."""
    for description in packet.descriptions:
        yield from (description.attributes.get((space, which.name), "") for space in which.spaces)
    inside = list(_properties(packet, which))
    while inside:
        element = inside.pop()
        yield element.text.strip()
        inside += element.children


def _texts(packet: _Packet, which: _List) -> list[str]:
    return [which.read(_value(item)) for item in _items(packet, which)]


def _value(item: _Element) -> str:
    """The text of a list's item, also of one that has qualifiers: then it is in an rdf:value."""
    if not item.children:
        return item.attributes.get((_RDF, "value"), item.text).strip()
    inner = item.those(_RDF, "Description")
    for holder in (item, *inner):
        for value in holder.those(_RDF, "value"):
            return value.text.strip()
        if (_RDF, "value") in holder.attributes:
            return holder.attributes[_RDF, "value"].strip()
    return ""


def _keywords(packet: _Packet) -> Keywords:
    paths = [*_texts(packet, _TAGS_LIST), *_texts(packet, _HIERARCHICAL)]
    for mirror in _MIRRORS:
        try:
            paths += _texts(packet, mirror)
        except Unreadable:
            continue  # never written by us, so its form is no obstacle
    paths += _categories(packet)
    return Keywords(_unique(_texts(packet, _SUBJECT)), _unique(paths))


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _categories(packet: _Packet) -> Iterator[str]:
    """ACDSee's: XML inside of a text, <Category Assigned="1">cat</Category>, one in the other."""
    texts = [d.attributes[_CATEGORIES] for d in packet.descriptions if _CATEGORIES in d.attributes]
    texts += [found.text for d in packet.descriptions for found in d.those(*_CATEGORIES)]
    for text in texts:
        if "<!" in text:
            continue
        try:
            open_: list[_Category] = [((), ElementTree.fromstring(text))]
        except (ElementTree.ParseError, ValueError):
            continue
        while open_:
            above, category = open_.pop()
            path = above
            if category.tag == "Category":
                path = (*above, (category.text or "").strip().replace("/", "|"))
                if category.get("Assigned") == "1" and all(path):
                    yield "/".join(path)
            if len(path) < _DEEPEST:
                open_ += [(path, child) for child in reversed(category)]


# --- taking away --------------------------------------------------------------------------------


def _without(
    data: bytes, is_gone: Callable[[str], bool], *, for_good: bool = False
) -> bytes | None:
    """Without the tags that `is_gone` names. `for_good`: none of ours stay, so that what was copied
    for their sake, and can't go, belongs to the user from now on."""
    packet = _read(data)
    copied = _copied(packet)
    edits: list[tuple[int, int, bytes]] = []
    forgotten: set[str] = set()
    for which in (*_OURS, *_MIRRORS):
        try:
            items = _items(packet, which)
        except Unreadable:
            if which in _OURS and any(is_gone(which.read(t)) for t in _loose(packet, which)):
                raise
            continue
        gone = [item for item in items if is_gone(which.read(_value(item)))]
        if not gone:
            continue
        kept = [item for item in items if not is_gone(which.read(_value(item)))]
        if kept and sorted(map(_value, kept)) == sorted(copied.get(which.title, [])):
            gone, kept = items, []
        if for_good or not kept:
            forgotten.add(which.title)
        for found in _properties(packet, which):
            edits += _cut(packet, found, which, gone)
    if not edits:
        return data
    for found in _properties(packet, _COPIED):
        of_those = [i for i in _items(packet, _COPIED) if _value(i).split(" ")[0] in forgotten]
        edits += _cut(packet, found, _COPIED, of_those)
    left = _encoded(packet, edits)
    collapsed = _collapse(left)
    return None if _is_bare(collapsed) else collapsed


def _copied(packet: _Packet) -> dict[str, list[str]]:
    """A list's title -> what was copied into it, as it is written there."""
    copied: dict[str, list[str]] = {}
    try:
        entries = _texts(packet, _COPIED)
    except Unreadable:
        return {}
    for entry in entries:
        title, _, text = entry.partition(" ")
        copied.setdefault(title, []).append(text)
    return copied


def _cut(
    packet: _Packet, found: _Element, which: _List, gone: Sequence[_Element]
) -> Iterator[tuple[int, int, bytes]]:
    """The edits that take the items away, and the whole property if no item is left in it."""
    holder = _holder(found, which)
    starts = {item.start for item in gone}
    own = [item for item in holder.children if item.start in starts] if holder else []
    commented = re.search(rb"<[!?]", packet.data[found.start : found.end])  # or in CDATA: either
    if holder and own and len(own) == len(holder.children) and not commented:
        yield _start_with_space(packet, found), found.end, b""
    else:
        yield from ((_start_with_space(packet, item), item.end, b"") for item in own)


def _start_with_space(packet: _Packet, element: _Element) -> int:
    """Where the white space before an element begins."""
    near = packet.data[max(0, element.start - 256) : element.start]
    return element.start - len(near) + len(near.rstrip(b" \t\r\n"))


def _collapse(data: bytes) -> bytes:
    """<rdf:Description/> again where that was made longer (see `_put_into`)."""
    packet = _read(data)
    edits = [
        (d.inside - 1, d.end, b"/>")
        for d in packet.descriptions
        if packet.data[d.inside : d.close] == _WAS_EMPTY and not d.children
    ]
    return _encoded(packet, edits) if edits else data


def _is_bare(data: bytes) -> bool:
    """True for what `rewrite` begins a new sidecar with."""
    texts = (_decoded(one)[0].decode().replace('end="r"', 'end="w"') for one in (_EMPTY, data))
    bare, own = (ElementTree.canonicalize(text, with_comments=True) for text in texts)
    return bare == own


# --- adding -------------------------------------------------------------------------------------


def _with(data: bytes, tags: Sequence[str], known: Keywords) -> bytes:
    """With these tags, and with the keywords that a list made here would hide."""
    packet = _read(data)
    there = _keywords(packet)
    before = Keywords(_unique((*there.flat, *known.flat)), _unique((*there.paths, *known.paths)))
    copied = _copied(packet)
    own = {tag.split("/")[0] for tag in tags}
    new_copies: list[str] = []
    for which in _OURS:
        have = _texts(packet, which)
        wanted = [tag for tag in tags if tag not in have]
        if not wanted:
            continue
        ours = [which.read(text) for text in copied.get(which.title, [])]
        if all(text in ours or text.split("/")[0] in own for text in have):
            others = before.flat if which is _SUBJECT else before.all
            copies = [t for t in others if t not in have and t.split("/")[0] not in own]
            new_copies += [f"{which.title} {which.written(text)}" for text in copies]
            wanted = copies + wanted
        packet = _appended(packet, which, [which.written(text) for text in wanted])
    if new_copies:
        packet = _appended(packet, _COPIED, new_copies)
    return _encoded(packet, [])


def _appended(packet: _Packet, which: _List, texts: Sequence[str]) -> _Packet:
    """The packet with these items at the end of a list, which is made where it is missing."""
    texts = list(dict.fromkeys(texts))
    found = next(_properties(packet, which), None)
    holder = found and _holder(found, which)
    if holder:
        items = _written(texts, holder.prefix, _space_before_last(packet, holder))
        edits = _put_into(packet, holder, items)
    elif found:
        edits = _put_into(packet, found, _container(which, texts, found.scope))
    else:
        home = packet.descriptions[0]
        space, scope = which.spaces[0], home.scope
        declared = "" if scope.get(which.prefix) == space else f' xmlns:{which.prefix}="{space}"'
        inner = _container(which, texts, {**scope, which.prefix: space}).decode()
        text = f"<{which.title}{declared}>{inner}</{which.title}>"
        between = _space_before_last(packet, home)
        edits = _put_into(packet, home, between + text.encode())
    return _read(_encoded(packet, edits))


def _container(which: _List, texts: Sequence[str], scope: Mapping[str, str]) -> bytes:
    """The rdf:Bag of a list. It declares its prefix where that means something else."""
    prefix = next((p for p, space in scope.items() if p and space == _RDF), "")
    declared = "" if prefix else f' xmlns:rdf="{_RDF}"'
    name = f"{prefix or 'rdf'}:{which.container}"
    items = _written(texts, f"{prefix or 'rdf'}:", b"").decode()
    return f"<{name}{declared}>{items}</{name}>".encode()


def _written(texts: Sequence[str], prefix: str, between: bytes) -> bytes:
    items = (f"<{prefix}li>{escape(text)}</{prefix}li>".encode() for text in texts)
    return b"".join(between + item for item in items)


def _space_before_last(packet: _Packet, parent: _Element) -> bytes:
    """The white space before the last child: what is put after it is indented alike."""
    if not parent.children:
        return b""
    last = parent.children[-1]
    return packet.data[_start_with_space(packet, last) : last.start]


def _put_into(packet: _Packet, parent: _Element, new: bytes) -> list[tuple[int, int, bytes]]:
    """After the last child; into an element without children, after its start tag."""
    if parent.empty:
        start_tag = packet.data[parent.start : parent.inside]
        name = re.split(rb"[\s/>]", start_tag[1:], maxsplit=1)[0]
        close = _WAS_EMPTY + b"</" + name + b">"
        return [(parent.inside - 2, parent.inside, b">" + new + close)]
    at = parent.children[-1].end if parent.children else parent.inside
    return [(at, at, new)]
