"""XMP sidecars: labels as tags that digiKam, Lightroom, Immich and darktable read. Bytes to bytes.

A tag is a path, "zeroshelf/animals/cat". It goes into three places, for no two programs read the
same: `dc:subject` and `digiKam:TagsList` with "/", `lr:hierarchicalSubject` with "|". All that a
sidecar held before stays, prefixes, comments and order included.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from zeroshelf.errors import Unreadable
from zeroshelf.files import kinds
from zeroshelf.records import Picture

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{_RDF}">
  <rdf:Description rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()

# namespace, prefix, name, container, how a tag's path is written there
_PROPERTIES: tuple[tuple[str, str, str, str, Callable[[str], str]], ...] = (
    ("http://purl.org/dc/elements/1.1/", "dc", "subject", "Bag", str),
    ("http://ns.adobe.com/lightroom/1.0/", "lr", "hierarchicalSubject", "Bag",
     lambda tag: tag.replace("/", "|")),
    ("http://www.digikam.org/ns/1.0/", "digiKam", "TagsList", "Seq", str),
)  # fmt: skip
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
    return stem + ".xmp" if suffix.lower() in kinds.RAW_SUFFIXES else picture.path + ".xmp"


def add(data: bytes | None, tag: str) -> bytes:
    """The sidecar with one tag more; unchanged where it has it. None: there is none yet. Raises
    `Unreadable` where it is no XMP that can safely be written again."""
    document = _parse(_EMPTY if data is None else data)
    changed = False
    for namespace, prefix, name, container, written in _PROPERTIES:
        items = _items(document, namespace, name)
        if written(tag) in [_text(item) for item in items]:
            continue
        bag = (
            items[0].parentNode
            if items
            else _container(document, namespace, prefix, name, container)
        )
        item = document.createElementNS(_RDF, f"{_rdf_prefix(document)}:li")
        item.appendChild(document.createTextNode(written(tag)))
        bag.appendChild(item)
        changed = True
    return bytes(document.toxml(encoding="utf-8")) if changed or data is None else data


def remove(data: bytes, prefix: str) -> bytes | None:
    """The sidecar without the tags below `prefix`, in all three places; unchanged where it has
    none. None: `add` made it, and nothing else is in it. Raises `Unreadable` as `add` does."""
    document = _parse(data)
    changed = False
    for namespace, _, name, _, written in _PROPERTIES:
        for item in _items(document, namespace, name):
            if _text(item).startswith(written(prefix + "/")):
                bag = item.parentNode
                bag.removeChild(item)
                if not bag.getElementsByTagNameNS(_RDF, "li"):
                    bag.parentNode.parentNode.removeChild(bag.parentNode)
                changed = True
    if not changed:
        return data
    left = bytes(document.toxml(encoding="utf-8"))
    return None if left == _parse(_EMPTY).toxml(encoding="utf-8") else left


def tags(data: bytes) -> set[str]:
    """The tags as digiKam sees them."""
    namespace, _, name, _, _ = _PROPERTIES[2]
    return {_text(item) for item in _items(_parse(data), namespace, name)}


def _parse(data: bytes) -> minidom.Document:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise Unreadable("the sidecar declares a document type")  # entities could grow without end
    try:
        document = minidom.parseString(data)
    except (ExpatError, ValueError, LookupError) as error:
        raise Unreadable(f"the sidecar is no XML: {error}") from None
    if not document.getElementsByTagNameNS(_RDF, "Description"):
        raise Unreadable("the sidecar is no XMP: no rdf:Description")
    return document


# minidom's nodes are Any here: its types say that a parent may always be missing.
def _items(document: minidom.Document, namespace: str, name: str) -> list[Any]:
    return [
        item
        for found in document.getElementsByTagNameNS(namespace, name)
        for item in found.getElementsByTagNameNS(_RDF, "li")
    ]


def _container(
    document: minidom.Document, namespace: str, prefix: str, name: str, container: str
) -> Any:
    """The list of a property, made where it is missing. It declares its own prefix: whatever the
    file means by that prefix elsewhere stays."""
    rdf = _rdf_prefix(document)
    for empty in document.getElementsByTagNameNS(namespace, name):
        for bag in _elements(empty):
            return bag
    described = document.getElementsByTagNameNS(_RDF, "Description")[0]
    found = document.createElementNS(namespace, f"{prefix}:{name}")
    found.setAttribute(f"xmlns:{prefix}", namespace)
    bag = document.createElementNS(_RDF, f"{rdf}:{container}")
    found.appendChild(bag)
    described.appendChild(found)
    return bag


def _elements(node: Any) -> Iterator[Any]:
    return (child for child in node.childNodes if isinstance(child, minidom.Element))


def _rdf_prefix(document: minidom.Document) -> str:
    return str(document.getElementsByTagNameNS(_RDF, "Description")[0].prefix or "rdf")


def _text(item: Any) -> str:
    return "".join(str(child.data) for child in item.childNodes if isinstance(child, minidom.Text))
