"""embeddings, labels -> scores: what the model says, before anything is decided.

A logit is the model's logit scale times a cosine. A picture's negative score is the mean of its
three nearest negatives of the bank. Pure: `texts` is the only door to the model.
"""

from __future__ import annotations

import numpy as np

from zeroshelf import negatives
from zeroshelf.prompts import Texts, label_prompts, mean_vectors
from zeroshelf.records import Embeddings, LabelSet, Scores

BLOCK = 8192  # pictures at once against the bank: 8,192 x 3,000 logits are 100 MB
NEAREST = 3


def score(embeddings: Embeddings, labels: LabelSet, texts: Texts) -> Scores:
    """(N, D) pictures, K labels -> (N, K) logits and (N,) scores of the nearest negatives."""
    scale = np.float32(embeddings.model.logit_scale)
    prompts = [label_prompts(label, labels) for label in labels]
    words = mean_vectors([group for own in prompts for group in own], texts) * scale
    starts = np.cumsum([0, *map(len, prompts)])[:-1]
    bank = negatives.kept(labels)
    against = texts([negative.prompt for negative in bank]) * scale

    count = len(embeddings)
    logits = np.empty((count, len(labels)), np.float32)
    negative = np.empty(count, np.float32)
    nearest = np.empty((count, NEAREST), np.int32)
    for start in range(0, count, BLOCK):
        rows = slice(start, start + BLOCK)
        block = embeddings.vectors[rows]
        logits[rows] = np.maximum.reduceat(block @ words.T, starts, axis=1)
        away = block @ against.T
        top = np.argpartition(away, -NEAREST, axis=1)[:, -NEAREST:]
        values = np.take_along_axis(away, top, axis=1)
        negative[rows] = values.mean(axis=1)
        nearest[rows] = np.take_along_axis(top, np.argsort(-values, axis=1), axis=1)
    return Scores(
        pictures=embeddings.pictures,
        labels=labels,
        logits=logits,
        negative=negative,
        nearest=nearest,
        negatives=tuple(one.name for one in bank),
        model=embeddings.model,
    )
