"""embeddings, labels -> scores: what the model says, before anything is decided.

A logit is the model's logit scale times a cosine, made alike for all texts: some texts are near to
everything ("thing") and some far from everything, so each text's cosines are centred and scaled by
how near it is to the bank's other texts (cohort normalisation, as "z-norm" in speaker recognition):

    logit(x, t) = scale * (x.t - CENTRED * mean_v(v.t)) * typical / std_v(v.t)

A picture's negative score is the mean of its five nearest negatives of the bank, and FLAWED more
where next to nothing is to be seen. What it has in common with the whole bank is told beside it.
Pure: `texts` is the only door to the model.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.smoothing import likeness
from zeroshelf.images.quality import FLAWS
from zeroshelf.labels import negative_filter
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts, mean_vectors
from zeroshelf.records import Embeddings, Nearest, Progress, ResolvedLabels, Scores, Vectors

BLOCK = 1024  # pictures at once: 1,024 x 3,500 logits and their ranks are 43 MB
NEAREST = 5  # negatives in a picture's negative score; 3 to 30 differ little
NAMED = 3  # of them kept by name
NEAR = 48  # texts of the whole bank that are kept of a picture; the guard may take some
FLAWED = 4.0  # logits; what was blurred on purpose lay up to 3.6 above the bar of some label
COHORT = 500  # texts of the bank that the mean and the spread are taken over
CENTRED = 0.3
LEAST_SPREAD = 0.02  # cosine: a text that is equally far from the whole bank is no better for it

Floats = npt.NDArray[np.float32]


def score(
    embeddings: Embeddings,
    resolved: ResolvedLabels,
    texts: Texts,
    before: Scores | None = None,
    progress: Progress | None = None,
) -> Scores:
    """(N, D) pictures, K labels -> (N, K) logits and (N,) scores of the nearest negatives.

    `before` is what was said of the same pictures under other labels: what looks alike, and which
    texts of the bank are near, is the same then, and by far most of the work where labels are few.
    `progress` is told the stage "scoring": how many pictures are scored, of how many.
    """
    vectors, scale = embeddings.vectors, embeddings.model.logit_scale
    near = _nearest(vectors, texts, scale) if before is None or before.bank is None else before.bank
    words = mean_vectors([group for one in resolved for group in one.prompts], texts)
    starts = np.cumsum([0, *(len(one.prompts) for one in resolved)])[:-1]
    kept = negative_filter.remaining_negatives(resolved, texts)
    bank, against, places = kept.negatives, kept.vectors, kept.rows
    factors, offsets = _normaliser(np.concatenate((words, against)), against, scale)
    own = len(resolved.labels.negatives)  # the first of the bank
    mean_text = (against.T * factors[len(words) :]).mean(axis=1)

    def away(rows: slice | npt.NDArray[np.intp], of: slice) -> Floats:
        """(n, M) logits of the negatives `of` the bank."""
        factor, offset = factors[len(words) :][of], offsets[len(words) :][of]
        return np.asarray(vectors[rows] @ (against[of].T * factor) - offset, np.float32)

    count, nearest_of = len(embeddings), min(NEAREST, len(bank))
    logits = np.empty((count, len(resolved)), np.float32)
    negative, common = np.empty(count, np.float32), np.empty(count, np.float32)
    nearest = np.empty((count, NAMED), np.int32)
    for start in range(0, count, BLOCK):
        rows = slice(start, min(start + BLOCK, count))
        fits = vectors[rows] @ (words.T * factors[: len(words)]) - offsets[: len(words)]
        logits[rows] = np.maximum.reduceat(fits, starts, axis=1)
        at = places[near.rows[rows]]
        values = near.cosines[rows] * factors[len(words) :][at] - offsets[len(words) :][at]
        values[at < 0] = -np.inf  # the guard took it
        if own:
            mine = np.broadcast_to(np.arange(own, dtype=np.int32), (len(at), own))
            values, at = np.hstack((away(rows, slice(own)), values)), np.hstack((mine, at))
        few = np.flatnonzero(np.isfinite(values).sum(axis=1) < nearest_of)
        order = np.argsort(-values, axis=1)[:, :nearest_of]
        best, which = np.take_along_axis(values, order, 1), np.take_along_axis(at, order, 1)
        if len(few):  # so many went that what is next must be looked for in the whole bank
            whole = away(few + start, slice(None))
            order = np.argsort(-whole, axis=1)[:, :nearest_of]
            best[few], which[few] = np.take_along_axis(whole, order, 1), order
        negative[rows] = best.mean(axis=1)
        common[rows] = vectors[rows] @ mean_text - offsets[len(words) :].mean()
        nearest[rows] = which[:, :NAMED]
        if progress:
            progress("scoring", rows.stop, count)
    names = tuple(one.name for one in bank)
    column = {flaw: names.index(flaw) for flaw in FLAWS if flaw in names}  # else a label's own
    for row, note in embeddings.notes.items():
        if note in column:
            negative[row] += FLAWED
            nearest[row] = (column[note], *nearest[row, :-1])
    return Scores(
        pictures=embeddings.pictures,
        resolved=resolved,
        logits=logits,
        negative=negative,
        common=common,
        nearest=nearest,
        negatives=names,
        model=embeddings.model,
        likeness=likeness(vectors) if before is None else before.likeness,
        bank=near,
    )


def _nearest(vectors: npt.NDArray[np.floating], texts: Texts, scale: float) -> Nearest:
    """(N, D) -> the `NEAR` texts of the whole bank whose logits are greatest."""
    against = texts([one.prompt for one in negative_labels()])
    factor, offset = _normaliser(against, against, scale)
    count, kept = len(vectors), min(NEAR, len(against))
    rows = np.empty((count, kept), np.int32)
    cosines = np.empty((count, kept), np.float32)
    for start in range(0, count, BLOCK):
        block = slice(start, start + BLOCK)
        found = vectors[block] @ against.T
        rows[block] = np.argpartition(found * factor - offset, -kept, axis=1)[:, -kept:]
        cosines[block] = np.take_along_axis(found, rows[block], axis=1)
    return Nearest(rows, cosines)


def _normaliser(vectors: Vectors, bank: Vectors, scale: float) -> tuple[Floats, Floats]:
    """(W, D) texts, the last of them the bank -> what each text's cosines are multiplied by, and
    what is then taken off, by the mean and spread of its cosines to the bank.
    """
    cosines = vectors @ bank[:: max(1, len(bank) // COHORT)].T
    mean, std = cosines.mean(axis=1), cosines.std(axis=1)
    typical = std[-len(bank) :].mean()
    factor = scale * (typical + LEAST_SPREAD) / (std + LEAST_SPREAD)
    offset = factor * CENTRED * mean
    return factor.astype(np.float32), offset.astype(np.float32)
