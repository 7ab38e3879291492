"""decisions and a person's marks -> decisions: marks made in this run, and marks kept from others.

A kept mark is about a picture's content (its digest), so it holds in whatever folder that lies, and
about a picture that is not here it still teaches by its vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from zeroshelf import decisions as deciding
from zeroshelf.decisions import Decisions
from zeroshelf.marks import Mark, Marks
from zeroshelf.records import OTHER, Embeddings, Picture
from zeroshelf.scores import score
from zeroshelf.words.prompts import Texts

if TYPE_CHECKING:
    from zeroshelf import teach


def follow(
    embeddings: Embeddings,
    decided: Decisions,
    placed: Mapping[int, int],
    known: Marks,
    texts: Texts,
    *,
    threshold: float | None,
    boldness: float,
) -> Decisions:
    """`decided`, made with this threshold and boldness, after marks: `placed` is row -> column of
    the pictures placed in this run and comes before `known`, the kept ones."""
    from zeroshelf import teach

    names = (*decided.scores.labels.names, OTHER)
    marked = here(embeddings, known, names)
    digests = {embeddings.digests[row].hex() for row in marked}
    there = [mark for d, mark in known.items() if d not in digests and mark.label in names]
    return teach.teach(
        embeddings.vectors,
        decided,
        teach.Marks.of({**marked, **placed}),
        _elsewhere(there, decided, embeddings, texts, boldness) if there else None,
        threshold,
    )


def here(embeddings: Embeddings, known: Marks, names: Sequence[str]) -> dict[int, int]:
    """Row -> column of the pictures of these embeddings that kept marks are about."""
    found = {}
    for row, digest in enumerate(embeddings.digests if known else ()):
        mark = known.get(digest.hex())
        if mark is not None and mark.label in names:
            found[row] = names.index(mark.label)
    return found


def _elsewhere(
    marks: Sequence[Mark], decided: Decisions, embeddings: Embeddings, texts: Texts, boldness: float
) -> teach.Elsewhere:
    """Marked pictures that are not here, with what the model says of them."""
    from zeroshelf import teach

    labels = decided.scores.labels
    names = (*labels.names, OTHER)
    vectors = np.stack([mark.vector for mark in marks])
    strangers = (Picture("", "", 0, 0, 0),) * len(marks)
    embedded = Embeddings(strangers, (b"",) * len(marks), vectors, (), embeddings.model)
    said = deciding.decide(score(embedded, labels, texts), boldness=boldness)
    columns = np.array([names.index(mark.label) for mark in marks], np.intp)
    return teach.Elsewhere(vectors, said.probabilities, columns)
