"""The hits of a search, as a sequence and as pictures."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from zeroshelf import checks
from zeroshelf.counting import counted
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.output import contact_sheet
from zeroshelf.search.find import Hit
from zeroshelf.search.query import Query

SHOWN = 48  # hits that a notebook shows


@dataclass(frozen=True, eq=False, repr=False)
class Hits(Sequence[Hit]):
    """The hits of a search, best first. A notebook shows them as pictures."""

    query: Query
    hits: tuple[Hit, ...]
    _store: EmbeddingCache  # that has the thumbnails

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'hit')} for {self.query.title!r}>"

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]

    @property
    def paths(self) -> list[str]:
        """The path of each hit."""
        return [hit.path for hit in self.hits]

    def show(self, count: int = SHOWN) -> str:
        """The first `count` hits as HTML, each with its probability in percent, or its score, a
        cosine, where they have none: those of a picture."""
        shown = self.hits[: checks.count(count, "count")]
        caption: Callable[[float], str] = contact_sheet.percent
        if any(hit.probability is None for hit in shown):
            caption = cosine
            numbers = tuple((hit.digest.hex(), hit.score) for hit in shown)
        else:
            numbers = tuple((hit.digest.hex(), hit.probability or 0.0) for hit in shown)
        group = contact_sheet.Group(self.query.title, len(self), numbers)
        return contact_sheet.html([group], self._thumbnails, caption)

    def page(self) -> str:
        """All hits as a whole HTML page, which loads nothing."""
        title = html.escape(self.query.title.encode("utf-8", "replace").decode("utf-8"))
        policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            '<meta name="color-scheme" content="light dark"></head>'
            f"<body>{self.show(len(self))}</body></html>\n"
        )

    def _thumbnails(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        return thumbnails(self._store, digests)

    def _repr_html_(self) -> str:
        return self.show()


def cosine(score: float) -> str:
    """A cosine, as it stands below a picture."""
    return f"cosine {score:.2f}"


def thumbnails(store: EmbeddingCache, digests: Sequence[str]) -> Mapping[str, bytes]:
    """Digests in hex -> small JPEGs; a digest without a thumbnail is left out."""
    given = [checks.digest(one, "each of digests") for one in checks.texts(digests, "digests")]
    return {digest.hex(): small for digest, small in store.thumbnails(given).items()}
