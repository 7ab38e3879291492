"""Score smoothing: similar images of a folder share part of their scores.

Two methods on the same embeddings, centred on the folder's mean:

- k-nearest-neighbour smoothing averages an image's scores with those of its nearest neighbours
  (for example the other images of a burst).
- low-rank smoothing moves a score towards its ridge regression on the folder's principal axes.

What is computed from the embeddings (`Smoothing`) does not depend on the labels, so that it is
reused when the labels change. Everything is computed in blocks of images, and sums over the folder
in double precision: vectors that are read block by block from a file (decisions/by_blocks.py) give
the very numbers of an array. Memory is bounded for folders of any size.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.blocks import blocks, in_threads
from zeroshelf.decisions.constants import (
    MAX_ANCHORS,
    MAX_AXIS_SAMPLES,
    NEIGHBOUR_WEIGHT,
    NEIGHBOUR_WIDTH,
    NEIGHBOURS,
    PRINCIPAL_AXES,
    REGRESSION_SHARE,
    RIDGE,
)
from zeroshelf.embeddings.halves import widened
from zeroshelf.records import Progress, Smoothing

BLOCK = 256  # images at once: 256 x 8,192 cosines are 8 MB
VALUES = 1024  # images whose scores are smoothed at once: of 5 neighbours and 1,000 labels, 20 MB

Floats = npt.NDArray[np.float32]


class ImageRows(Protocol):
    """(N, D) vectors of images of which only some rows are asked for at once: an array, or a file
    of vectors (`by_blocks.RowFile`)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> npt.NDArray[np.floating]:
        """The vectors of a slice, or of an array of rows."""
        ...


def smoothing_of(vectors: ImageRows, progress: Progress | None = None) -> Smoothing:
    """The neighbours and principal-axis coordinates of N images.

    vectors: (N, D), rows of length 1.
    progress: called with the stage "neighbours" (images).
    """
    count = len(vectors)
    kept = min(NEIGHBOURS, max(count - 1, 0))
    neighbours = np.empty((count, kept), np.int32)
    cosines = np.empty((count, kept), np.float32)
    mean = _mean(vectors)

    def centred(given: npt.NDArray[np.floating]) -> Floats:
        """Vectors minus the folder's mean, scaled to length 1."""
        block = widened(given) - mean
        block /= np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-9)
        return block

    anchors = anchors_of(count)
    anchor_vectors = centred(vectors[anchors]).T
    axes = principal_axes(centred(vectors[_evenly_spaced(count, MAX_AXIS_SAMPLES)]))
    coordinates = np.empty((count, axes.shape[1]), np.float16)

    def search(given: tuple[slice, npt.NDArray[np.floating]]) -> slice:
        rows, block = given[0], centred(given[1])
        coordinates[rows] = block @ axes
        near = block @ anchor_vectors
        first, last = np.searchsorted(anchors, (rows.start, rows.stop))
        near[anchors[first:last] - rows.start, np.arange(first, last)] = -2  # itself
        top = np.argpartition(near, -kept, axis=1)[:, len(anchors) - kept :]
        neighbours[rows] = anchors[top]
        cosines[rows] = np.take_along_axis(near, top, axis=1)
        return rows

    for done in in_threads(search, ((rows, vectors[rows]) for rows in blocks(count, BLOCK))):
        if progress:
            progress("neighbours", done.stop, count)
    return Smoothing(neighbours, cosines, coordinates)


def smooth_by_neighbours(values: Floats, smoothing: Smoothing) -> Floats:
    """(N, C) -> (N, C): each row's weighted mean with the rows of its nearest neighbours."""
    smoothed = np.empty(values.shape, np.float32)
    for rows in blocks(len(values), VALUES):
        near = values[smoothing.neighbours[rows]]
        smoothed[rows] = with_neighbours(values[rows], near, smoothing.cosines[rows])
    return smoothed


def with_neighbours(values: Floats, near: Floats, cosines: Floats) -> Floats:
    """(B, C) values, the (B, S, C) values of their neighbours and the (B, S) cosines to these ->
    (B, C): the weighted means."""
    weights = NEIGHBOUR_WEIGHT * np.exp((cosines - 1) / NEIGHBOUR_WIDTH)[:, :, None]
    both = values + (weights * near).sum(axis=1)
    return np.asarray(both / (1 + weights.sum(axis=1)), np.float32)


def smooth_low_rank(values: Floats, smoothing: Smoothing) -> Floats:
    """(N, C) -> (N, C): a mixture of each value and its ridge regression on the principal axes."""
    regression = Regression()
    for rows in blocks(len(values), VALUES):
        regression.add(Regression.sums(smoothing.coordinates[rows], values[rows]))
    regression.solve()
    smoothed = np.empty(values.shape, np.float32)
    for rows in blocks(len(values), VALUES):
        (smoothed[rows],) = regression.smooth(smoothing.coordinates[rows], values[rows])
    return smoothed


class Regression:
    """Ridge regressions of one or several (N, C) values on the same (N, R) coordinates, from sums
    over blocks of rows."""

    def __init__(self) -> None:
        self._sums: list[Any] = []
        self._solved: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = []

    @staticmethod
    def sums(coordinates: npt.NDArray[np.float16], *values: Floats) -> list[Any]:
        """What `add` takes, of B rows: (B, R) coordinates and each (B, C) values."""
        at = widened(coordinates).astype(np.float64)
        sums: list[Any] = [len(at), at.T @ at, at.sum(axis=0)]
        for some in values:
            given = some.astype(np.float64)
            sums += [at.T @ given, given.sum(axis=0)]
        return sums

    def add(self, sums: list[Any]) -> None:
        """Add the sums of a block of rows."""
        self._sums = [a + b for a, b in zip(self._sums, sums, strict=True)] if self._sums else sums

    def solve(self) -> None:
        """After the last `add`, before the first `smooth`."""
        if not self._sums:  # no rows
            return
        number, squares, coordinates, *pairs = self._sums
        squares = squares / number + RIDGE * np.eye(len(squares))
        for products, total in zip(pairs[::2], pairs[1::2], strict=True):
            mean = total / number
            products = (products - np.outer(coordinates, mean)) / number  # noqa: PLW2901
            self._solved.append((mean, np.linalg.solve(squares, products)))

    def smooth(self, coordinates: npt.NDArray[np.float16], *values: Floats) -> list[Floats]:
        """(B, R) coordinates and each (B, C) values of the same rows -> the smoothed values."""
        at = widened(coordinates).astype(np.float64)
        smoothed = []
        for some, (mean, slopes) in zip(values, self._solved, strict=True):
            fitted = mean + at @ slopes
            both = (1 - REGRESSION_SHARE) * some + REGRESSION_SHARE * fitted
            smoothed.append(np.asarray(both, np.float32))
        return smoothed


def principal_axes(rows: Floats) -> Floats:
    """(M, D) centred rows -> (D, R): the R directions of greatest variance, of length 1, in
    ascending order of variance. R is `PRINCIPAL_AXES`, or fewer if M or D is smaller."""
    if len(rows) < rows.shape[1]:  # the smaller Gram matrix has the same axes
        _, found = np.linalg.eigh(rows @ rows.T)
        axes = rows.T @ found[:, -PRINCIPAL_AXES:]
    else:
        _, found = np.linalg.eigh(rows.T @ rows)
        axes = found[:, -PRINCIPAL_AXES:]
    return np.asarray(axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-9), np.float32)


def anchors_of(count: int) -> npt.NDArray[np.int32]:
    """The rows, of `count`, among which every image's neighbours are searched."""
    return _evenly_spaced(count, MAX_ANCHORS)


def _mean(vectors: ImageRows) -> Floats:
    """(N, D) -> (D,)"""
    total = np.zeros(vectors.shape[1])
    for rows in blocks(len(vectors), BLOCK):
        total += widened(vectors[rows]).sum(axis=0, dtype=np.float64)
    return np.asarray(total / max(len(vectors), 1), np.float32)


def _evenly_spaced(count: int, most: int) -> npt.NDArray[np.int32]:
    """Up to `most` rows of `count`, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int32))
