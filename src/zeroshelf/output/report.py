"""report.html: what a run decided, as one page that opens from disk. It loads nothing but the
originals, from this machine's disk, when one is shown large.

The page is `data/report.html` with the rows and their thumbnails written into it, block by block:
memory stays flat here, and the browser decodes only the thumbnails that are looked at. File names,
labels and reasons are hostile text. They enter the page only inside data blocks, as ASCII without
a "<", so that no HTML parser sees them; its one script makes text nodes of them, and the page's
Content-Security-Policy allows that script and no other.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from itertools import islice

from zeroshelf.output.results import Row, Thumbnails, line

BLOCK = 64  # rows a block: so many thumbnails are in memory at once


@dataclass(frozen=True, slots=True)
class Facts:
    """What the head of the report says about the run."""

    run: str  # its id
    folder: str
    model: str
    when: datetime
    seconds: float
    labels: tuple[str, ...]  # in the user's order, without "other"
    counts: Mapping[str, int]  # pictures a shelf, "other" among them
    skipped: int = 0
    notes: tuple[str, ...] = ()  # one line each, shown above the pictures


def write(rows: Iterable[Row], thumbnails: Thumbnails, path: str, facts: Facts) -> None:
    page = resources.files("zeroshelf").joinpath("data/report.html").read_text("utf-8")
    before, after = page.replace("{{policy}}", _policy(page)).split("{{rows}}")
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(before.replace("{{run}}", _head(facts)))
        for part in _blocks(rows, thumbnails):
            file.write(part)
        file.write('<script type="text/plain" id="end"></script>' + after)


def _blocks(rows: Iterable[Row], thumbnails: Thumbnails) -> Iterator[str]:
    everything = iter(rows)
    number = start = 0
    while block := list(islice(everything, BLOCK)):
        text = _inert(",\n".join(line(row) for row in block))
        yield f'<script type="application/json" id="rows-{number}">[{text}]</script>\n'
        small = thumbnails([row.digest for row in block if row.digest])
        for index, row in enumerate(block, start):
            if row.digest and row.digest in small:
                picture = base64.b64encode(small[row.digest]).decode("ascii")
                yield f'<script type="text/plain" id="picture-{index}">{picture}</script>\n'
        number, start = number + 1, start + len(block)


def _head(facts: Facts) -> str:
    return _inert(
        json.dumps(
            {
                "id": facts.run,
                "folder": facts.folder,
                "model": facts.model,
                "when": facts.when.isoformat(),
                "seconds": facts.seconds,
                "labels": facts.labels,
                "counts": dict(facts.counts),
                "pictures": sum(facts.counts.values()),
                "skipped": facts.skipped,
                "notes": facts.notes,
            }
        )
    )


def _inert(text: str) -> str:
    """JSON of ASCII characters in which no HTML parser finds a tag, a comment or an entity."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(page: str) -> str:
    """Nothing from anywhere, but this page's own script and style, known by their hashes, and the
    pictures themselves, from this machine's disk."""
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    return (
        f"default-src 'none'; script-src {_sha256(script)}; style-src {_sha256(style)}; "
        "img-src data: file:; base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
