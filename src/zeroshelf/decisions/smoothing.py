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

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

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

    def centred(rows: slice | npt.NDArray[np.int32]) -> Floats:
        """Those rows minus the folder's mean, scaled to length 1."""
        block: Floats = vectors[rows].astype(np.float32) - mean
        block /= np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-9)
        return block

    anchors = anchors_of(count)
    anchor_vectors = centred(anchors).T
    axes = principal_axes(centred(_evenly_spaced(count, MAX_AXIS_SAMPLES)))
    coordinates = np.empty((count, axes.shape[1]), np.float16)
    for rows in blocks(count, BLOCK):
        block = centred(rows)
        coordinates[rows] = block @ axes
        near = block @ anchor_vectors
        near[anchors[None, :] == np.arange(rows.start, rows.stop)[:, None]] = -2  # itself
        top = np.argpartition(near, -kept, axis=1)[:, len(anchors) - kept :]
        neighbours[rows] = anchors[top]
        cosines[rows] = np.take_along_axis(near, top, axis=1)
        if progress:
            progress("neighbours", rows.stop, count)
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
    regression = Regression(smoothing.coordinates.shape[1], values.shape[1])
    for rows in blocks(len(values), VALUES):
        regression.add(values[rows], smoothing.coordinates[rows])
    smooth = regression.solved()
    smoothed = np.empty(values.shape, np.float32)
    for rows in blocks(len(values), VALUES):
        smoothed[rows] = smooth(values[rows], smoothing.coordinates[rows])
    return smoothed


class Regression:
    """The ridge regression of (N, C) values on (N, R) coordinates, from sums over blocks of rows.

    axes: R. columns: C.
    """

    def __init__(self, axes: int, columns: int) -> None:
        self._count = 0
        self._squares = np.zeros((axes, axes))
        self._coordinates = np.zeros(axes)
        self._products = np.zeros((axes, columns))
        self._values = np.zeros(columns)

    def add(self, values: Floats, coordinates: npt.NDArray[np.float16]) -> None:
        """Add B rows: (B, C) values and (B, R) coordinates."""
        at, given = coordinates.astype(np.float64), values.astype(np.float64)
        self._count += len(values)
        self._squares += at.T @ at
        self._coordinates += at.sum(axis=0)
        self._products += at.T @ given
        self._values += given.sum(axis=0)

    def solved(self) -> Callable[[Floats, npt.NDArray[np.float16]], Floats]:
        """What smooths (B, C) values with their (B, R) coordinates, after the last `add`."""
        count = max(self._count, 1)
        mean = self._values / count
        squares = self._squares / count + RIDGE * np.eye(len(self._squares))
        products = (self._products - np.outer(self._coordinates, mean)) / count
        slopes = np.linalg.solve(squares, products)

        def smooth(values: Floats, coordinates: npt.NDArray[np.float16]) -> Floats:
            fitted = mean + coordinates.astype(np.float64) @ slopes
            both = (1 - REGRESSION_SHARE) * values + REGRESSION_SHARE * fitted
            return np.asarray(both, np.float32)

        return smooth


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
        total += vectors[rows].sum(axis=0, dtype=np.float64)
    return np.asarray(total / max(len(vectors), 1), np.float32)


def blocks(count: int, size: int) -> Iterator[slice]:
    """The rows of `count` images, `size` at a time."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _evenly_spaced(count: int, most: int) -> npt.NDArray[np.int32]:
    """Up to `most` rows of `count`, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int32))
