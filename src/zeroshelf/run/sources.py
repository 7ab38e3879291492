"""What a run computes more from than its records: the model, the cache, and what both tell."""

from __future__ import annotations

from dataclasses import dataclass

from zeroshelf import checks
from zeroshelf.decisions.context import joined
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images.near_duplicates import NearDuplicates
from zeroshelf.models import select
from zeroshelf.records import Calibration, Embeddings, Encoder, NegativeRows, Progress


@dataclass(frozen=True, slots=True)
class Sources:
    """What a run computes more from, besides its records."""

    encoder: Encoder
    store: EmbeddingCache
    near_duplicates: NearDuplicates
    negatives: NegativeRows | None = None  # the negative labels that are used; None: all
    beside: Embeddings | None = None  # judge the pictures among these: `Request.in_context`


def sources_of(
    embedded: Embeddings,
    encoder: Encoder,
    store: EmbeddingCache,
    beside: Embeddings | None = None,
    progress: Progress | None = None,
) -> Sources:
    """Those of embeddings that were just made: for a large model, pictures are read once more to
    find the negative labels that the folder can need (decisions/likely_negatives.py)."""
    from zeroshelf.decisions import likely_negatives

    negatives = likely_negatives.of_folder(embedded, store, progress)
    if beside is not None:
        negatives = likely_negatives.of_known(joined(embedded, beside), store)
    return Sources(encoder, store, NearDuplicates(embedded, store.hashes), negatives, beside)


def known_sources(
    embedded: Embeddings,
    encoder: Encoder,
    store: EmbeddingCache,
    near_duplicates: tuple[tuple[int, ...], ...] | None,
    beside: Embeddings | None = None,
) -> Sources:
    """Those of a run's embeddings, with its near-duplicates, and the pictures among which they were
    judged: no picture is read."""
    from zeroshelf.decisions import likely_negatives

    everything = embedded if beside is None else joined(embedded, beside)
    negatives = likely_negatives.of_known(everything, store)
    found = NearDuplicates(embedded, store.hashes, near_duplicates)
    return Sources(encoder, store, found, negatives, beside)


def calibration_of(
    embedded: Embeddings, sources: Sources, progress: Progress | None, may_transfer: bool
) -> Calibration:
    """The model's calibration; for one without, transferred from the starter's decisions about
    these embeddings, if that may be done and can be."""
    encoder, store, negatives = sources.encoder, sources.store, sources.negatives
    own = select.calibration(encoder.model)
    if not may_transfer or own.origin in {"transferred", "measured"}:
        return own
    from zeroshelf.decisions import calibration_transfer

    found = calibration_transfer.calibrate_once(embedded, encoder, store, negatives, progress)
    return found or own


def check_helpers(encoder: object, store: object, *functions: object) -> None:
    """Check the arguments that `classify`, `reopen` and `index` share."""
    checks.encoder(encoder)
    if store is not None and not isinstance(store, EmbeddingCache):
        raise checks.refuse(
            "store", "an EmbeddingCache (zeroshelf.embeddings.cache) or None", store
        )
    for one in functions:
        checks.function(one, "progress or warn")
