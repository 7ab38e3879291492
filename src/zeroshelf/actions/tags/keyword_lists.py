"""The lists of an XMP packet that contain keywords: which there are, and how their items are read.

A tag is written into three lists, because no two programs read the same one: `dc:subject` and
`digiKam:TagsList` with "/", `lr:hierarchicalSubject` with "|". Other programs keep hierarchies in
lists of their own, which are read only. Only the document's own lists count, never those of an
ingredient or a layer that the file describes too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias
from xml.etree import ElementTree

from zeroshelf.actions.tags import xmp
from zeroshelf.actions.tags.xmp import Element, Packet
from zeroshelf.errors import Unreadable

_SWAP = {ord("/"): "|", ord("|"): "/"}


def _same(text: str) -> str:
    return text


def _swapped(text: str) -> str:
    """ "Places|AC/DC" of Lightroom is "Places/AC|DC" of Immich, and the other way round."""
    return text.translate(_SWAP)


@dataclass(frozen=True, slots=True)
class KeywordList:
    """A property that contains keywords. `written` converts a tag's path to the form of an item,
    `read` converts it back."""

    spaces: tuple[str, ...]  # its namespace; further ones that are read as the same
    prefix: str
    name: str
    container: str = "Bag"
    written: Callable[[str], str] = _same
    read: Callable[[str], str] = _same

    @property
    def title(self) -> str:
        return f"{self.prefix}:{self.name}"


SUBJECT = KeywordList(("http://purl.org/dc/elements/1.1/",), "dc", "subject")
HIERARCHICAL = KeywordList(
    ("http://ns.adobe.com/lightroom/1.0/",), "lr", "hierarchicalSubject", "Bag", _swapped, _swapped
)
TAGS_LIST = KeywordList(("http://www.digikam.org/ns/1.0/",), "digiKam", "TagsList", "Seq")
OURS = (SUBJECT, HIERARCHICAL, TAGS_LIST)
COPIED = KeywordList(("urn:zeroshelf:xmp/1.0/",), "zeroshelf", "Copied")
# What other programs keep hierarchies in: read, and freed of our tags if one copied them there.
MIRRORS = (
    KeywordList(
        ("http://ns.microsoft.com/photo/1.0/", "http://ns.microsoft.com/photo/1.0"),
        "MicrosoftPhoto",
        "LastKeywordXMP",
    ),
    KeywordList(
        ("http://ns.adobe.com/lightroom/1.0/",),
        "lr",
        "HierarchicalSubject",
        "Bag",
        _swapped,
        _swapped,
    ),
    KeywordList(
        ("http://ns.iview-multimedia.com/mediapro/1.0/",),
        "mediapro",
        "CatalogSets",
        "Bag",
        _swapped,
        _swapped,
    ),
    KeywordList(
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
    """The keywords that a picture or its sidecar has already."""

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


def read(data: bytes) -> Packet:
    """The XMP packet `data`.

    Raises:
        Unreadable: it is not XMP that can be edited, or it also lists the keywords of another file.
    """
    packet = xmp.read(data)
    names = {(one.spaces[0], one.name) for one in OURS}
    for other in packet.others:
        # Adobe's programs read all descriptions as one, and a list that is there twice as an error.
        if names & ({(c.space, c.name) for c in other.children} | set(other.attributes)):
            raise Unreadable("the sidecar contains the keywords of another file too")
    return packet


def keywords(packet: Packet) -> Keywords:
    paths = [*texts(packet, TAGS_LIST), *texts(packet, HIERARCHICAL)]
    for mirror in MIRRORS:
        try:
            paths += texts(packet, mirror)
        except Unreadable:
            continue  # never written by us, so its form is no obstacle
    paths += _categories(packet)
    return Keywords(unique(texts(packet, SUBJECT)), unique(paths))


def properties(packet: Packet, which: KeywordList) -> Iterator[Element]:
    for description in packet.descriptions:
        for space in which.spaces:
            yield from description.those(space, which.name)


def container(found: Element, which: KeywordList) -> Element | None:
    """The rdf:Bag or rdf:Seq of a list; None where it has none yet. Raises `Unreadable` for every
    other form: simple text, a structure, a reference."""
    odd = {"parseType", "resource", "nodeID", "datatype"} & {
        name for space, name in found.attributes if space == xmp.RDF
    }
    containers = [c for name in ("Bag", "Seq", "Alt") for c in found.those(xmp.RDF, name)]
    if odd or found.text.strip() or len(found.children) > len(containers) or len(containers) > 1:
        raise Unreadable(f"{which.title} in the sidecar is not a list of keywords")
    for container in containers:
        strays = container.text.strip() or any(
            space == xmp.RDF and name != "nodeID" for space, name in container.attributes
        )
        if strays or len(container.children) > len(container.those(xmp.RDF, "li")):
            raise Unreadable(f"{which.title} in the sidecar is not a list of keywords")
    return containers[0] if containers else None


def items(packet: Packet, which: KeywordList) -> list[Element]:
    """Raises `Unreadable` where the property is there in another form than as a list."""
    for description in packet.descriptions:
        if any((space, which.name) in description.attributes for space in which.spaces):
            raise Unreadable(f"{which.title} in the sidecar is not a list of keywords")
    holders = [container(found, which) for found in properties(packet, which)]
    return [item for holder in holders if holder is not None for item in holder.children]


def loose_texts(packet: Packet, which: KeywordList) -> Iterator[str]:
    """Every text in a property, whatever its form."""
    for description in packet.descriptions:
        yield from (description.attributes.get((space, which.name), "") for space in which.spaces)
    inside = list(properties(packet, which))
    while inside:
        element = inside.pop()
        yield element.text.strip()
        inside += element.children


def texts(packet: Packet, which: KeywordList) -> list[str]:
    return [which.read(value(item)) for item in items(packet, which)]


def value(item: Element) -> str:
    """The text of a list's item, also of one that has qualifiers: then it is in an rdf:value."""
    if not item.children:
        return item.attributes.get((xmp.RDF, "value"), item.text).strip()
    inner = item.those(xmp.RDF, "Description")
    for holder in (item, *inner):
        for value in holder.those(xmp.RDF, "value"):
            return value.text.strip()
        if (xmp.RDF, "value") in holder.attributes:
            return holder.attributes[xmp.RDF, "value"].strip()
    return ""


def unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _categories(packet: Packet) -> Iterator[str]:
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
            if len(path) < xmp.DEEPEST:
                open_ += [(path, child) for child in reversed(category)]
