"""Tags in XMP, for Lightroom, digiKam, Immich and darktable: bytes in, bytes out.

A tag is a path, "zeroshelf/animals/cat". It goes into three lists, because no two programs read the
same one: `dc:subject` and `digiKam:TagsList` with "/", `lr:hierarchicalSubject` with "|". Only the
document's own lists count, never those of an ingredient or a layer that the file describes too.

A program that reads one list doesn't look at the others any more: Immich reads `TagsList`, then
`hierarchicalSubject`, then `dc:subject`, and stops at the first that is there. So a list that is
made anew also gets the keywords that the other lists contain already. A property of our own,
`zeroshelf:Copied`, remembers which those are, so that they can be taken away again with the list.

The file is edited in place, as text (see `xmp`): everything that isn't a tag stays, to the byte.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from zeroshelf.actions.tags import keyword_lists, xmp
from zeroshelf.actions.tags.keyword_lists import KeywordList, Keywords
from zeroshelf.actions.tags.xmp import Edit, Element, Packet
from zeroshelf.errors import Unreadable
from zeroshelf.images import formats
from zeroshelf.records import Picture

_EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="{xmp.META}">
 <rdf:RDF xmlns:rdf="{xmp.RDF}">
  <rdf:Description rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WAS_EMPTY = b" "  # before an end tag that we wrote: the element was <x/>


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
    data: bytes | None,
    add: Sequence[str],
    remove: Sequence[str],
    known: Keywords = keyword_lists.NONE,
) -> bytes | None:
    """The sidecar `data` without the tags `remove` and with the tags `add`, in this order.

    Args:
        data: the sidecar's content; None where there is none yet.
        add: whole tags, as `tag` makes them. One that is there already isn't added twice.
        remove: whole tags, exactly as they were written. One that isn't there is passed over.
        known: keywords in the picture's own file. A list that is made here gets them too.

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
    if escape(first) == first and first not in xmp.decoded(data)[0].decode():
        return data
    return _without(data, lambda tag: tag.startswith(prefix + "/"), for_good=True)


def tags(data: bytes) -> set[str]:
    """The tags as digiKam sees them. Raises `Unreadable`."""
    return set(keyword_lists.texts(keyword_lists.read(data), keyword_lists.TAGS_LIST))


def keywords(data: bytes) -> Keywords:
    """All keywords of the document, whoever wrote them and into which list. Raises `Unreadable`."""
    return keyword_lists.keywords(keyword_lists.read(data))


# --- taking away --------------------------------------------------------------------------------


def _without(
    data: bytes, is_gone: Callable[[str], bool], *, for_good: bool = False
) -> bytes | None:
    """Without the tags that `is_gone` names. `for_good`: none of ours stay, so that what was copied
    for their sake, and can't go, belongs to the user from now on."""
    packet = keyword_lists.read(data)
    copied = _copied(packet)
    edits: list[Edit] = []
    forgotten: set[str] = set()
    for which in (*keyword_lists.OURS, *keyword_lists.MIRRORS):
        try:
            items = keyword_lists.items(packet, which)
        except Unreadable:
            if which in keyword_lists.OURS and any(
                is_gone(which.read(t)) for t in keyword_lists.loose_texts(packet, which)
            ):
                raise
            continue
        gone = [item for item in items if is_gone(which.read(keyword_lists.value(item)))]
        if not gone:
            continue
        kept = [item for item in items if not is_gone(which.read(keyword_lists.value(item)))]
        if kept and sorted(map(keyword_lists.value, kept)) == sorted(copied.get(which.title, [])):
            gone, kept = items, []
        if for_good or not kept:
            forgotten.add(which.title)
        for found in keyword_lists.properties(packet, which):
            edits += _cut(packet, found, which, gone)
    if not edits:
        return data
    for found in keyword_lists.properties(packet, keyword_lists.COPIED):
        of_those = [
            i
            for i in keyword_lists.items(packet, keyword_lists.COPIED)
            if keyword_lists.value(i).split(" ")[0] in forgotten
        ]
        edits += _cut(packet, found, keyword_lists.COPIED, of_those)
    left = xmp.encoded(packet, edits)
    collapsed = _collapse(left)
    return None if _is_bare(collapsed) else collapsed


def _copied(packet: Packet) -> dict[str, list[str]]:
    """A list's title -> what was copied into it, as it is written there."""
    copied: dict[str, list[str]] = {}
    try:
        entries = keyword_lists.texts(packet, keyword_lists.COPIED)
    except Unreadable:
        return {}
    for entry in entries:
        title, _, text = entry.partition(" ")
        copied.setdefault(title, []).append(text)
    return copied


def _cut(
    packet: Packet, found: Element, which: KeywordList, gone: Sequence[Element]
) -> Iterator[Edit]:
    """The edits that take the items away, and the whole property if no item is left in it."""
    holder = keyword_lists.container(found, which)
    starts = {item.start for item in gone}
    own = [item for item in holder.children if item.start in starts] if holder else []
    commented = re.search(rb"<[!?]", packet.data[found.start : found.end])  # or in CDATA: either
    if holder and own and len(own) == len(holder.children) and not commented:
        yield _start_with_space(packet, found), found.end, b""
    else:
        yield from ((_start_with_space(packet, item), item.end, b"") for item in own)


def _start_with_space(packet: Packet, element: Element) -> int:
    """Where the white space before an element begins."""
    near = packet.data[max(0, element.start - 256) : element.start]
    return element.start - len(near) + len(near.rstrip(b" \t\r\n"))


def _collapse(data: bytes) -> bytes:
    """<rdf:Description/> again where that was made longer (see `_put_into`)."""
    packet = keyword_lists.read(data)
    edits = [
        (d.inside - 1, d.end, b"/>")
        for d in packet.descriptions
        if packet.data[d.inside : d.close] == _WAS_EMPTY and not d.children
    ]
    return xmp.encoded(packet, edits) if edits else data


def _is_bare(data: bytes) -> bool:
    """True for what `rewrite` begins a new sidecar with."""
    texts = (xmp.decoded(one)[0].decode().replace('end="r"', 'end="w"') for one in (_EMPTY, data))
    bare, own = (ElementTree.canonicalize(text, with_comments=True) for text in texts)
    return bare == own


# --- adding -------------------------------------------------------------------------------------


def _with(data: bytes, tags: Sequence[str], known: Keywords) -> bytes:
    """With these tags, and with the keywords that a list made here would hide."""
    packet = keyword_lists.read(data)
    there = keyword_lists.keywords(packet)
    before = Keywords(
        keyword_lists.unique((*there.flat, *known.flat)),
        keyword_lists.unique((*there.paths, *known.paths)),
    )
    copied = _copied(packet)
    own = {tag.split("/")[0] for tag in tags}
    new_copies: list[str] = []
    for which in keyword_lists.OURS:
        have = keyword_lists.texts(packet, which)
        wanted = [tag for tag in tags if tag not in have]
        if not wanted:
            continue
        ours = [which.read(text) for text in copied.get(which.title, [])]
        if all(text in ours or text.split("/")[0] in own for text in have):
            others = before.flat if which is keyword_lists.SUBJECT else before.all
            copies = [t for t in others if t not in have and t.split("/")[0] not in own]
            new_copies += [f"{which.title} {which.written(text)}" for text in copies]
            wanted = copies + wanted
        packet = _appended(packet, which, [which.written(text) for text in wanted])
    if new_copies:
        packet = _appended(packet, keyword_lists.COPIED, new_copies)
    return xmp.encoded(packet, [])


def _appended(packet: Packet, which: KeywordList, texts: Sequence[str]) -> Packet:
    """The packet with these items at the end of a list, which is made where it is missing."""
    texts = list(dict.fromkeys(texts))
    found = next(keyword_lists.properties(packet, which), None)
    holder = found and keyword_lists.container(found, which)
    if holder:
        items = _written(texts, holder.prefix, _space_before_last(packet, holder))
        edits = _put_into(packet, holder, items)
    elif found:
        edits = _put_into(packet, found, _made_container(which, texts, found.scope))
    else:
        home = packet.descriptions[0]
        space, scope = which.spaces[0], home.scope
        declared = "" if scope.get(which.prefix) == space else f' xmlns:{which.prefix}="{space}"'
        inner = _made_container(which, texts, {**scope, which.prefix: space}).decode()
        text = f"<{which.title}{declared}>{inner}</{which.title}>"
        between = _space_before_last(packet, home)
        edits = _put_into(packet, home, between + text.encode())
    return keyword_lists.read(xmp.encoded(packet, edits))


def _made_container(which: KeywordList, texts: Sequence[str], scope: Mapping[str, str]) -> bytes:
    """The rdf:Bag of a list. It declares its prefix where that means something else."""
    prefix = next((p for p, space in scope.items() if p and space == xmp.RDF), "")
    declared = "" if prefix else f' xmlns:rdf="{xmp.RDF}"'
    name = f"{prefix or 'rdf'}:{which.container}"
    items = _written(texts, f"{prefix or 'rdf'}:", b"").decode()
    return f"<{name}{declared}>{items}</{name}>".encode()


def _written(texts: Sequence[str], prefix: str, between: bytes) -> bytes:
    items = (f"<{prefix}li>{escape(text)}</{prefix}li>".encode() for text in texts)
    return b"".join(between + item for item in items)


def _space_before_last(packet: Packet, parent: Element) -> bytes:
    """The white space before the last child: what is put after it is indented alike."""
    if not parent.children:
        return b""
    last = parent.children[-1]
    return packet.data[_start_with_space(packet, last) : last.start]


def _put_into(packet: Packet, parent: Element, new: bytes) -> list[Edit]:
    """After the last child; into an element without children, after its start tag."""
    if parent.empty:
        start_tag = packet.data[parent.start : parent.inside]
        name = re.split(rb"[\s/>]", start_tag[1:], maxsplit=1)[0]
        close = _WAS_EMPTY + b"</" + name + b">"
        return [(parent.inside - 2, parent.inside, b">" + new + close)]
    at = parent.children[-1].end if parent.children else parent.inside
    return [(at, at, new)]
