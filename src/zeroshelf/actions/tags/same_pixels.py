"""Pictures whose file has other bytes since a tag was written into it, and looks as it did."""

from __future__ import annotations

from zeroshelf.actions.journal_entries import Entries
from zeroshelf.actions.tags import tagging
from zeroshelf.corrections import stored
from zeroshelf.embeddings.cache import EmbeddingCache


def tell(entries: Entries) -> None:
    """Make the embeddings in the cache and the stored corrections of tagged pictures hold for their
    new digests."""
    edited = (entry for _, entry in entries.each(edited=True) if entry.step == "done")
    if pairs := [pair for entry in edited if (pair := tagging.digests(entry))]:
        with EmbeddingCache.open() as store:
            store.same_pixels(pairs)
        stored.moved(pairs)
