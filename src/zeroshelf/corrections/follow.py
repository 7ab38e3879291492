"""(decisions, corrections) -> decisions that follow the corrections.

The same corrections give the same decisions, in whatever order they were given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from zeroshelf.corrections import few_shot
from zeroshelf.decisions import decide
from zeroshelf.decisions.decide import Decisions
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.labels.prompts import Texts
from zeroshelf.records import OTHER, Correction, Corrections, Embeddings, Request


def follow(
    request: Request,
    embeddings: Embeddings,
    decided: Decisions,
    corrections: Corrections,
    texts: Texts,
) -> Decisions:
    """`decided` after `corrections`.

    A corrected picture is on the shelf that the user gave it. The other pictures follow what can be
    learnt from `corrections.followed`, also from pictures that are not in `embeddings`. Corrections
    to a label that the request does not have are not followed; in a closed set, nor are those to
    "other" that earlier runs stored.

    request: the one that `decided` was made for.
    embeddings: N pictures, in the rows of `decided`.
    texts: embeds texts; used to score the corrected pictures that are not in `embeddings`.
    """
    known = corrections.followed
    if not request.other:
        own = corrections.given
        known = {d: one for d, one in known.items() if d in own or one.label != OTHER}
    return _set(_adapt(request, embeddings, decided, known, texts), corrections)


def rows_of(
    embeddings: Embeddings, known: Mapping[str, Correction], names: Sequence[str]
) -> dict[int, int]:
    """Row of `embeddings` -> column in `names`, of the pictures that `known` corrects (digest in
    hex -> correction). Labels that are not in `names` are left out."""
    found = {}
    for row, digest in enumerate(embeddings.digests if known else ()):
        one = known.get(digest.hex())
        if one is not None and one.label in names:
            found[row] = names.index(one.label)
    return found


def renamed(corrections: Corrections, names: Mapping[str, str]) -> Corrections:
    """`corrections` after labels were renamed. names: old name -> new name."""
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
        by_path(corrections.reviewed),
        by_path(corrections.accepted),
    )


def _adapt(
    request: Request,
    embeddings: Embeddings,
    decided: Decisions,
    known: Mapping[str, Correction],
    texts: Texts,
) -> Decisions:
    """`decided` after few-shot adaptation to `known`, digest in hex -> correction."""
    names = (*decided.scores.labels.names, OTHER)
    here = rows_of(embeddings, known, names)
    digests = {embeddings.digests[row].hex() for row in here}
    away = [one for digest, one in known.items() if digest not in digests and one.label in names]
    return few_shot.adapt(
        embeddings.vectors,
        decided,
        few_shot.Examples.of(here),
        _external(away, request, decided, embeddings, texts) if away else None,
        request.threshold,
    )


def _external(
    away: Sequence[Correction],
    request: Request,
    decided: Decisions,
    embeddings: Embeddings,
    texts: Texts,
) -> few_shot.ExternalExamples:
    """Corrected pictures that are not in `embeddings`, with the model's probabilities for them."""
    names = (*decided.scores.labels.names, OTHER)
    vectors = np.stack([one.vector for one in away])
    known = decided.scores.candidates
    scores = score_vectors(
        vectors,
        embeddings.model,
        decided.scores.resolved,
        texts,
        negatives=None if known is None else known.searched,
    )
    said = decide.decide(
        scores, decided.calibration, offset=request.offset, closed=not request.other
    )
    columns = np.array([names.index(one.label) for one in away], np.intp)
    return few_shot.ExternalExamples(vectors, said.probabilities, columns)


def _set(decided: Decisions, corrections: Corrections) -> Decisions:
    """`decided` with each picture of `corrections.reviewed` and `.accepted` on the shelf given
    there, with probability 1. No other picture changes. Paths and labels that `decided` does not
    have are left out."""
    column = {name: k for k, name in enumerate((*decided.scores.labels.names, OTHER))}
    moves = {
        path: column[name]
        for path, name in {**corrections.accepted, **corrections.reviewed}.items()
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
    corrected = decided.corrected | set(rows)
    return replace(decided, chosen=chosen, probabilities=probabilities, corrected=corrected)
