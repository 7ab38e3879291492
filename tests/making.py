"""Trees of files to be sorted, and what a tree is, so that two can be compared."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests import systems
from zeroshelf.actions import plan, plan_tags
from zeroshelf.images import scan
from zeroshelf.records import ActionKind, Outcome, PlanRequest
from zeroshelf.runs import registry

JPEG = b"\xff\xd8\xff\xe0"  # enough to be taken for one


@dataclass(frozen=True)
class Node:
    """All of a file or folder that a sort could spoil. `times`: folders have one too."""

    mode: int
    mtime_ns: int
    content: bytes | None  # None: a folder
    attributes: tuple[tuple[str, bytes], ...] = ()


Tree = dict[bytes, Node]


def tree(*roots: Path) -> Tree:
    """Every folder and file below `roots`, hidden ones too, and the roots themselves."""
    found: Tree = {}
    for root in roots:
        if not root.exists():
            continue
        found[os.fsencode(root)] = _node(os.fsencode(root))
        for here, folders, files in os.walk(os.fsencode(root)):
            for name in folders + files:
                path = os.path.join(here, name)
                found[path] = _node(path)
    return found


def _node(path: bytes) -> Node:
    at = os.lstat(path)
    if stat.S_ISDIR(at.st_mode):
        content = None
    elif stat.S_ISLNK(at.st_mode):
        content = os.readlink(path)
    else:
        with open(path, "rb") as file:
            content = file.read()
    attributes: tuple[tuple[str, bytes], ...] = ()
    if hasattr(os, "listxattr") and not stat.S_ISLNK(at.st_mode):
        attributes = tuple((name, os.getxattr(path, name)) for name in sorted(os.listxattr(path)))
    return Node(at.st_mode, at.st_mtime_ns, content, attributes)


def contents(*roots: Path) -> list[bytes]:
    """What the files below `roots` hold, sorted: the same list means that nothing was lost."""
    return sorted(n.content for n in tree(*roots).values() if n.content is not None)


def photos(root: Path, count: int = 6) -> Path:
    """`count` units in nested folders: equal names, companions, odd names, an empty folder."""
    names = [
        b"a.jpg",
        b"b c.jpg",
        b"new\nline.jpg",
        b"\xff\xfe.jpg",
        "Café😀.jpg".encode(),
        b"A.JPG",
    ]
    for i in range(count):
        here = os.path.join(os.fsencode(root), [b"", b"one", b"one/two"][i % 3])
        os.makedirs(here, exist_ok=True)
        name = systems.name(names[i % len(names)]) if i < len(names) else b"p%d.jpg" % i
        content = JPEG + b"picture %d " % i + bytes(50 * i)
        put(os.path.join(here, name), content, 1_600_000_000 + i, 0o600 if i % 2 else 0o644)
        if i % 3 == 0:
            beside = os.path.join(here, name[:-4])
            put(beside + b".cr2", b"II*\0raw %d" % i, 1_500_000_000 + i)
            put(beside + b".xmp", xmp(b"<!-- %d -->" % i), 1_500_000_000 + i)
    os.makedirs(root / "empty", exist_ok=True)
    for place, _, _ in os.walk(root, topdown=False):
        os.utime(place, ns=(1_400_000_000_123_456_789,) * 2)
    return root


def xmp(inside: bytes = b"") -> bytes:
    """A sidecar as another program might have written it."""
    return (
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="" '
        b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4">%b</r:Description></r:RDF>'
        b'</x:xmpmeta>\n<?xpacket end="w"?>' % inside
    )


def put(
    path: bytes | Path, content: bytes, seconds: int = 1_600_000_000, mode: int = 0o644
) -> None:
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    os.utime(path, ns=(seconds * 10**9 + 1, seconds * 10**9 + 2))


def planned(
    root: Path, to: Path, kind: ActionKind = "copy", labels: Sequence[str] = ("cat", "frog", "a/b")
) -> str:
    """Plan a sort of `root` that takes the labels in turn; the run's record."""
    found = scan.scan(str(root), leave_out=[str(to)])
    placed = ((p, labels[i % len(labels)], None) for i, p in enumerate(found.pictures))
    if kind == "tag":
        return registry.new(plan_tags.tags(placed, found.root))[1]
    if kind == "untag":
        return registry.new(plan_tags.untags(found.root))[1]
    return registry.new(plan.make(PlanRequest(found.root, str(to), kind), placed))[1]


def statuses(outcomes: Iterable[Outcome]) -> set[str]:
    return {outcome.status for outcome in outcomes}


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()
