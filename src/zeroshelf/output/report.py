"""report.html: what a run decided, as one page that opens from disk. It loads nothing but the
originals, from this machine's disk, when one is shown large.

The page is `data/report.html` with the rows and their thumbnails written into it, block by block:
memory stays flat here, and the browser decodes only the thumbnails that are looked at. File names,
labels and reasons are hostile text. They enter the page only inside data blocks, as ASCII without
a "<", so that no HTML parser sees them; its one script makes text nodes of them, and the page's
Content-Security-Policy allows that script and no other.

More than `MOST` pictures become several pages of `PER_PAGE`, which lead to each other: report.html
is the first, the others are in the folder report-pages beside it. Shelf follows shelf, and on a
shelf the best match comes first.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from zeroshelf.output.results import Row, Thumbnails, line

BLOCK = 64  # rows a block: so many thumbnails are in memory at once, for each page
MOST = 50_000  # pictures on a single page: it opens at once and scrolls (docs/measured.md)
PER_PAGE = 10_000  # pictures on each of several pages


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


def pages_of(
    shelves: npt.NDArray[np.integer], probabilities: npt.NDArray[np.floating]
) -> npt.NDArray[np.int32] | None:
    """The page of each of N pictures, from 0; None where one page has room for all.

    shelves: (N,), the place of each picture's shelf in the order of `Facts.labels`, "other" last.
    probabilities: (N,), of that shelf.
    """
    count = len(shelves)
    if count <= MOST:
        return None
    pages = np.empty(count, np.int32)
    pages[np.lexsort((-probabilities, shelves))] = np.arange(count) // PER_PAGE
    return pages


def write(
    rows: Iterable[Row],
    thumbnails: Thumbnails,
    path: str,
    facts: Facts,
    pages: Sequence[int] | npt.NDArray[np.int32] | None = None,
) -> None:
    """Write the report to `path`. `pages`: of the first rows, as `pages_of` gives them; the other
    rows, and all of them if it is None, are on the first page. Raises OSError."""
    template = resources.files("zeroshelf").joinpath("data/report.html").read_text("utf-8")
    before, after = template.replace("{{policy}}", _policy(template)).split("{{rows}}")
    count = 1 + (int(max(pages, default=0)) if pages is not None else 0)
    folder = os.path.splitext(path)[0] + "-pages"
    _clear(folder)
    if count > 1:
        os.makedirs(folder, exist_ok=True)
    names = (os.path.join(folder, _name(number)) for number in range(1, count))
    files = [_Page(name, thumbnails) for name in (path, *names)]
    for number, file in enumerate(files):
        place = _place(path, number, count, facts)
        file.begin(before.replace("{{run}}", _head(facts, place)))
    for index, row in enumerate(rows):
        on_page = pages is not None and index < len(pages)
        files[pages[index] if on_page and pages is not None else 0].add(row)
    for file in files:
        file.end('<script type="text/plain" id="end"></script>' + after)


class _Page:
    """One HTML file in the making. It is open only while a block is written: a report may have
    more pages than a process may have open files."""

    def __init__(self, path: str, thumbnails: Thumbnails) -> None:
        self._path = path
        self._thumbnails = thumbnails
        self._waiting: list[Row] = []
        self._blocks = self._rows = 0  # that are written

    def begin(self, text: str) -> None:
        with open(self._path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)

    def add(self, row: Row) -> None:
        self._waiting.append(row)
        if len(self._waiting) == BLOCK:
            self._append(self._block())

    def end(self, text: str) -> None:
        self._append([*self._block(), text])

    def _append(self, parts: Iterable[str]) -> None:
        with open(self._path, "a", encoding="utf-8", newline="\n") as file:
            file.writelines(parts)

    def _block(self) -> Iterator[str]:
        """The rows that wait, with their thumbnails."""
        block, self._waiting = self._waiting, []
        if not block:
            return
        text = _inert(",\n".join(line(row) for row in block))
        yield f'<script type="application/json" id="rows-{self._blocks}">[{text}]</script>\n'
        small = self._thumbnails([row.digest for row in block if row.digest])
        for index, row in enumerate(block, self._rows):
            if row.digest and row.digest in small:
                picture = base64.b64encode(small[row.digest]).decode("ascii")
                yield f'<script type="text/plain" id="picture-{index}">{picture}</script>\n'
        self._blocks, self._rows = self._blocks + 1, self._rows + len(block)


def _name(number: int) -> str:
    return f"page-{number + 1:04}.html"


def _clear(folder: str) -> None:
    """Remove the pages of an earlier report at the same place."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(folder):
            if re.fullmatch(r"page-\d{4,}\.html", name):
                os.unlink(os.path.join(folder, name))
        with contextlib.suppress(OSError):  # something else is in it
            os.rmdir(folder)


def _place(path: str, number: int, count: int, facts: Facts) -> dict[str, object] | None:
    """Where in the report a page is, and how links lead from it to the others; None for one page.
    `first` and `others` are put before the names of pages."""
    if count == 1:
        return None
    name = os.path.basename(path)
    pictures = sum(facts.counts.values())
    return {
        "number": number,
        "count": count,
        "size": PER_PAGE,
        "pictures": min(PER_PAGE, pictures - number * PER_PAGE),
        "first": quote(f"../{name}" if number else name),
        "others": "" if number else quote(f"{os.path.splitext(name)[0]}-pages/"),
    }


def _head(facts: Facts, place: Mapping[str, object] | None) -> str:
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
                "page": place,
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
