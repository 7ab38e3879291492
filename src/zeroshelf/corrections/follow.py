"""decisions and a person's corrections -> decisions.

Every way to a corrected run (`Run.correct`, `relabel`, `reopen`, the review page) goes through
`follow` and `place`: the same corrections give the same decisions, in whatever order they came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from zeroshelf.decisions import decide
from zeroshelf.decisions.decide import Decisions
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.labels.prompts import Texts
from zeroshelf.records import OTHER, Correction, Corrections, Embeddings

if TYPE_CHECKING:
    from zeroshelf.corrections import few_shot


def follow(
    embeddings: Embeddings,
    decided: Decisions,
    known: Mapping[str, Correction],
    texts: Texts,
    *,
    threshold: float | None,
    offset: float,
) -> Decisions:
    """`decided`, made with this threshold and offset, after the corrections `known`.

    A corrected picture of `embeddings` is where it was put; the others follow what can be learnt
    from all of `known`, also from pictures that are not here. Corrections under a label that
    `decided` does not have are passed over.

    embeddings: N pictures, in the rows of `decided`.
    known: digest in hex -> correction.
    texts: embeds texts, as the scores need it for pictures that are not here.
    threshold, offset: as for `decisions.decide`.
    """
    from zeroshelf.corrections import few_shot

    names = (*decided.scores.labels.names, OTHER)
    here = rows_of(embeddings, known, names)
    digests = {embeddings.digests[row].hex() for row in here}
    away = [one for digest, one in known.items() if digest not in digests and one.label in names]
    return few_shot.teach(
        embeddings.vectors,
        decided,
        few_shot.Marks.of(here),
        _elsewhere(away, decided, embeddings, texts, offset) if away else None,
        threshold,
    )


def place(decided: Decisions, corrections: Corrections) -> Decisions:
    """`decided` with every picture that was placed, or whose suggestion was accepted, on that
    shelf. No other picture changes. Paths and labels that are not here are passed over."""
    column = {name: k for k, name in enumerate((*decided.scores.labels.names, OTHER))}
    moves = {
        path: column[name]
        for path, name in {**corrections.accepted, **corrections.placed}.items()
        if name in column
    }
    if not moves:
        return decided
    rows, columns = [], []
    for row, picture in enumerate(decided.scores.pictures):
        if picture.path in moves:
            rows.append(row)
            columns.append(moves[picture.path])
    chosen, probabilities = decided.chosen.copy(), decided.probabilities.copy()
    chosen[rows] = columns
    probabilities[rows] = np.eye(probabilities.shape[1], dtype=np.float32)[columns]
    by_hand = decided.placed | set(rows)
    return replace(decided, chosen=chosen, probabilities=probabilities, placed=by_hand)


def rows_of(
    embeddings: Embeddings, known: Mapping[str, Correction], names: Sequence[str]
) -> dict[int, int]:
    """Row -> column in `names` of the pictures of these embeddings that were corrected."""
    found = {}
    for row, digest in enumerate(embeddings.digests if known else ()):
        one = known.get(digest.hex())
        if one is not None and one.label in names:
            found[row] = names.index(one.label)
    return found


def renamed(corrections: Corrections, names: Mapping[str, str]) -> Corrections:
    """The same under other names of the labels, old -> new."""
    if not names:
        return corrections

    def by_digest(known: Mapping[str, Correction]) -> dict[str, Correction]:
        return {
            digest: replace(one, label=names.get(one.label, one.label))
            for digest, one in known.items()
        }

    def by_path(known: Mapping[str, str]) -> dict[str, str]:
        return {path: names.get(label, label) for path, label in known.items()}

    return Corrections(
        by_digest(corrections.stored),
        by_digest(corrections.given),
        by_path(corrections.placed),
        by_path(corrections.accepted),
    )


def _elsewhere(
    away: Sequence[Correction],
    decided: Decisions,
    embeddings: Embeddings,
    texts: Texts,
    offset: float,
) -> few_shot.Elsewhere:
    """Corrected pictures that are not here, with what the model says of them."""
    from zeroshelf.corrections import few_shot

    names = (*decided.scores.labels.names, OTHER)
    vectors = np.stack([one.vector for one in away])
    scores = score_vectors(vectors, embeddings.model, decided.scores.resolved, texts)
    said = decide.decide(scores, decided.calibration, offset=offset)
    columns = np.array([names.index(one.label) for one in away], np.intp)
    return few_shot.Elsewhere(vectors, said.probabilities, columns)
