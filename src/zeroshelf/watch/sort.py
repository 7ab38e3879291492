"""Pictures that are ready -> one run with a plan, not yet saved."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from zeroshelf.actions import plan
from zeroshelf.corrections import stored
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images.codecs.opened import CUT_SHORT
from zeroshelf.models import select
from zeroshelf.records import (
    Corrections,
    Embeddings,
    Encoder,
    Folder,
    Plan,
    Request,
    Skipped,
)
from zeroshelf.run.run import Run, make_run
from zeroshelf.run.sources import calibration_of, sources_of
from zeroshelf.runs import shelved
from zeroshelf.watch.settings import Settings


@dataclass(frozen=True, slots=True)
class Planned:
    """A run, its plan, and the pictures that stay where they are."""

    run: Run
    plan: Plan
    left: tuple[Skipped, ...]

    @property
    def shelves(self) -> dict[str, int]:
        """Shelf -> pictures that the plan puts there, without companions."""
        tally = Counter(a.label for a in self.plan.actions if a.companion_of is None)
        return dict(tally.most_common())


class Sorter:
    """settings: may be replaced between two runs.

    Keeps the model and what is known of earlier runs from one run to the next. The model is
    loaded with the first picture."""

    def __init__(
        self, settings: Settings, warn: Callable[[str], None], encoder: Encoder | None = None
    ) -> None:
        """encoder: used in place of the settings' model."""
        self.settings, self._warn = settings, warn
        self._encoder, self._given = encoder, encoder is not None
        self._known: dict[str, tuple[bytes, ...]] = {}

    def plan(self, found: Folder) -> Planned:
        """Decide about the pictures of `found`, among those that are on the shelves already, and
        plan. A picture whose end is missing stays: its writer may only be slow."""
        settings = self.settings
        if self._encoder is None:
            model = select.find(settings.model)
            self._encoder = select.load(model, settings.device, warn=self._warn)
        store = EmbeddingCache.open()
        embedded = compute.embed(found, self._encoder, store)
        embedded, left = _without_cut_short(embedded)
        run = self._run(embedded, self._encoder, store)
        made = plan.by_decisions(settings.request, run.embeddings, run.decisions)
        return Planned(run, made, left)

    def _run(self, embedded: Embeddings, encoder: Encoder, store: EmbeddingCache) -> Run:
        settings = self.settings
        beside = shelved.pictures(settings.destination, encoder.model, store, known=self._known)
        sources = sources_of(embedded, encoder, store, beside)
        known = stored.load_for(settings.labels, encoder.model) if settings.corrections else {}
        return make_run(
            Request(
                settings.folder,
                settings.labels,
                encoder.model.id,
                settings.threshold,
                other=settings.other,
                in_context=True,
            ),
            embedded,
            calibration_of(embedded, sources, None, not self._given),
            Corrections(known),
            sources,
        )


def _without_cut_short(embedded: Embeddings) -> tuple[Embeddings, tuple[Skipped, ...]]:
    """The pictures that are all there, and all others with the reason."""
    cut = {row for row, note in embedded.notes.items() if note == CUT_SHORT}
    late = [Skipped(embedded.pictures[row].path, CUT_SHORT) for row in sorted(cut)]
    left = (*embedded.skipped, *late)
    kept = embedded.some(row for row in range(len(embedded)) if row not in cut)
    return replace(kept, skipped=()), tuple(sorted(left, key=lambda one: os.fsencode(one.path)))
