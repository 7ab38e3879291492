"""A model without constants of its own -> constants by the answers of a model that has some.

Where "other" begins lies elsewhere in every model's logits. Both models are asked the same made-up
questions about the same pictures, and the bar goes where as many of them stay on their shelves; the
temperatures follow how widely the scores lie. No name of a picture is needed.
benchmarks/accuracy/agreement.py measures what that is worth.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from zeroshelf.counting import counted
from zeroshelf.decisions.calibrate import typical, with_constants
from zeroshelf.decisions.decide import fit
from zeroshelf.decisions.scores import score
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import Store
from zeroshelf.errors import UserError
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import installed, select
from zeroshelf.records import Embeddings, Encoder, Folder, OpenSet, Progress, Scores

LEAST, MOST = 50, 300  # pictures that are needed, and that are enough
QUESTIONS = 12  # 40 say the same
LABELS = (2, 20)  # in a question, as many more often as few

Floats = npt.NDArray[np.float32]


def settle(
    embedded: Embeddings, encoder: Encoder, store: Store, progress: Progress | None = None
) -> Embeddings:
    """The embeddings with constants for their model, which later runs find again."""
    constants = with_starter(embedded, encoder, store, progress)
    if constants is None:
        return embedded
    with contextlib.suppress(UserError):  # where nothing can be kept, they are made each time
        installed.calibrate(embedded.model, constants)
    return replace(embedded, model=replace(embedded.model, open_set=constants))


def with_starter(
    embedded: Embeddings, encoder: Encoder, store: Store, progress: Progress | None = None
) -> OpenSet | None:
    """Constants for the encoder's model, by the starter's answers on up to 300 of the pictures that
    it embedded. None where there are too few, or where the model knows no English."""
    speaks = embedded.model.languages
    if len(embedded) < LEAST or (speaks and "en" not in speaks):
        return None

    def told(_what: str, done: int, total: int) -> None:
        if progress:
            progress("calibrating", done, total)

    rows = np.unique(np.linspace(0, len(embedded) - 1, MOST).astype(int))
    some = Folder(os.sep, tuple(embedded.pictures[row] for row in rows))
    starter = select.load(select.find("starter"))
    known = compute.embed(some, starter, store, progress=told)
    row_of = {picture.path: row for row, picture in enumerate(embedded.pictures)}
    mine = embedded.some(row_of[picture.path] for picture in known.pictures)
    if len(mine) < LEAST:
        return None
    return agree(
        mine,
        compute.text_embedder(encoder, store, told),
        known,
        compute.text_embedder(starter, store, told),
    )


def agree(model: Embeddings, texts: Texts, known: Embeddings, known_texts: Texts) -> OpenSet:
    """Constants for `model`'s model; both embedded the same N pictures, in the same order."""
    mine: list[tuple[Floats, Floats]] = []
    theirs: list[tuple[Floats, Floats]] = []
    constants = known.model.open_set
    last: tuple[Scores | None, Scores | None] = None, None
    level: float | None = None
    for words in _questions(known, known_texts):
        labels = parse(words)
        asked = (  # the sense of a word depends on the model
            score(model, resolve(labels, texts), texts, last[0]),
            score(known, resolve(labels, known_texts), known_texts, last[1]),
        )
        level = typical(asked[:1]) if level is None else level
        mine.append(fit(with_constants(asked[0], OpenSet(typical=level))))
        theirs.append(fit(asked[1]))
        last = asked
    d, known_d = (np.concatenate([d for d, _ in both]) for both in (mine, theirs))
    kept = float((known_d >= constants.delta).mean())
    return OpenSet(
        delta=round(float(np.quantile(d, 1 - kept)), 3),
        t_open=round(constants.t_open * _ratio(_spreads(mine), _spreads(theirs)), 3),
        t_labels=round(constants.t_labels * _ratio(_margins(mine), _margins(theirs)), 3),
        typical=level,
        source=f"{select.AGREED}{known.model.id} on {counted(len(known), 'picture')}",
    )


def _questions(known: Embeddings, texts: Texts) -> list[list[str]]:
    """Nouns that some picture is nearest to, of all that the bank holds: lists of 2 to 20."""
    nouns = [one for one in negative_labels() if one.kind == "noun"]
    cosines = known.vectors.astype(np.float32) @ texts([one.prompt for one in nouns]).T
    away = (cosines - cosines.mean(axis=0)) / (cosines.std(axis=0) + 1e-6)
    seen = [nouns[row].name for row in np.unique(away.argmax(axis=1))]
    rng = np.random.default_rng(0)
    least, most = np.log(LABELS)
    counts = np.exp(rng.uniform(least, most, QUESTIONS)).round().astype(int)
    return [
        [str(word) for word in rng.choice(seen, min(count, len(seen)), replace=False)]
        for count in counts
    ]


def _spreads(fits: Sequence[tuple[Floats, Floats]]) -> float:
    return float(np.mean([d.std() for d, _ in fits]))


def _margins(fits: Sequence[tuple[Floats, Floats]]) -> float:
    """How much better the best label is than the second, in the mean."""
    best = [np.sort(logits, axis=1)[:, -2:] for _, logits in fits if logits.shape[1] > 1]
    return float(np.mean([(two[:, 1] - two[:, 0]).mean() for two in best])) if best else 0.0


def _ratio(mine: float, theirs: float) -> float:
    """A hundredth at least: to a model that says the same of every picture nothing is certain."""
    return max(mine / theirs, 0.01) if mine > 0 and theirs > 0 else 1.0
