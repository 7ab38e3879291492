"""Corrections given in a run, picture by picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from zeroshelf import checks
from zeroshelf.errors import UserError
from zeroshelf.records import OTHER, Correction, Corrections, Embeddings, Request
from zeroshelf.system import path_spelling


def added(
    before: Corrections, corrections: Mapping[str, str], request: Request, embeddings: Embeddings
) -> Corrections:
    """`before` and further corrections of a run. They replace what was given before, or said on the
    review page, about the same content.

    corrections: a picture's path (absolute, or below the run's folder) -> a label of the request
        or "other".
    embeddings: of the run's pictures.

    Raises `UserError` for a path or a label that the run does not have.
    """
    names = (*request.labels.names, OTHER)
    corrections = checks.mapping(corrections, "corrections", 'a mapping, {"a.jpg": "cat"}')
    for label in corrections.values():
        if checks.text(label, "a label") not in names:
            raise UserError(f"no label {label!r} in this run; there are {', '.join(names)}")
    rows = rows_of(request, embeddings, corrections)
    given = {
        embeddings.digests[row].hex(): Correction(label, embeddings.vectors[row])
        for row, label in zip(rows, corrections.values(), strict=True)
    }
    replaced = {
        picture.path
        for picture, digest in zip(embeddings.pictures, embeddings.digests, strict=True)
        if digest.hex() in given
    }
    return replace(
        before,
        given={**before.given, **given},
        reviewed={p: name for p, name in before.reviewed.items() if p not in replaced},
        accepted={p: name for p, name in before.accepted.items() if p not in replaced},
    )


def rows_of(request: Request, embeddings: Embeddings, paths: Iterable[object]) -> list[int]:
    """The rows of the pictures at `paths`, absolute or below the run's folder. Raises `UserError`
    for a path that is none of them."""
    place = {picture.path: row for row, picture in enumerate(embeddings.pictures)}
    try:
        return [
            place[path_spelling.below(request.folder, checks.path(path, "a picture"))]
            for path in paths
        ]
    except KeyError as missing:
        raise UserError(f"{missing.args[0]} is no picture of this run") from None
