"""embeddings, labels -> scores: what the model says, before anything is decided.

A logit is the model's logit scale times a cosine, made alike for all texts: some texts are near to
everything ("thing") and some far from everything, so each text's cosines are centred and scaled by
how near it is to the bank's other texts (cohort normalisation, as "z-norm" in speaker recognition):

    logit(x, t) = scale * (x.t - CENTRED * mean_v(v.t)) * typical / std_v(v.t)

A picture's negative score is the mean of its five nearest negatives of the bank. Pure: `texts` is
the only door to the model.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zeroshelf.likeness import likeness
from zeroshelf.records import Embeddings, LabelSet, Likeness, Scores, Vectors
from zeroshelf.words import negatives
from zeroshelf.words.prompts import Texts, label_prompts, mean_vectors

BLOCK = 1024  # pictures at once: 1,024 x 3,500 logits and their ranks are 43 MB
NEAREST = 5  # negatives in a picture's negative score; 3 to 30 differ little
NAMED = 3  # of them kept by name
COHORT = 500  # texts of the bank that the mean and the spread are taken over
CENTRED = 0.3
LEAST_SPREAD = 0.02  # cosine: a text that is equally far from the whole bank is no better for it

Floats = npt.NDArray[np.float32]


def score(
    embeddings: Embeddings, labels: LabelSet, texts: Texts, alike: Likeness | None = None
) -> Scores:
    """(N, D) pictures, K labels -> (N, K) logits and (N,) scores of the nearest negatives.

    `alike` is what looks alike among the pictures, where it is known already.
    """
    prompts = [label_prompts(label, labels) for label in labels]
    words = mean_vectors([group for own in prompts for group in own], texts)
    starts = np.cumsum([0, *map(len, prompts)])[:-1]
    bank, against = negatives.kept(labels, texts)
    scale = embeddings.model.logit_scale
    factors, offsets = _normaliser(np.concatenate((words, against)), against, scale)
    words_factor, bank_factor = factors[: len(words)], factors[len(words) :]
    words_offset, bank_offset = offsets[: len(words)], offsets[len(words) :]

    count, nearest_of = len(embeddings), min(NEAREST, len(bank))
    logits = np.empty((count, len(labels)), np.float32)
    negative = np.empty(count, np.float32)
    nearest = np.empty((count, NAMED), np.int32)
    for start in range(0, count, BLOCK):
        rows = slice(start, start + BLOCK)
        block = embeddings.vectors[rows]
        fits = block @ (words.T * words_factor) - words_offset
        logits[rows] = np.maximum.reduceat(fits, starts, axis=1)
        away = block @ (against.T * bank_factor)
        away -= bank_offset
        top = np.argpartition(away, -nearest_of, axis=1)[:, -nearest_of:]
        values = np.take_along_axis(away, top, axis=1)
        negative[rows] = values.mean(axis=1)
        order = np.argsort(-values, axis=1)[:, :NAMED]
        nearest[rows] = np.take_along_axis(top, order, axis=1)
    return Scores(
        pictures=embeddings.pictures,
        labels=labels,
        logits=logits,
        negative=negative,
        nearest=nearest,
        negatives=tuple(one.name for one in bank),
        model=embeddings.model,
        likeness=likeness(embeddings.vectors) if alike is None else alike,
    )


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
