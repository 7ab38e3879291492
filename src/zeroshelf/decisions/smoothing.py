"""Score smoothing: similar images of a folder share part of their scores.

Two methods on the same embeddings, centred on the folder's mean:

- k-nearest-neighbour smoothing averages an image's scores with those of its nearest neighbours
  (for example the other images of a burst).
- low-rank smoothing moves a score towards its ridge regression on the folder's principal axes.

What is computed from the embeddings (`Smoothing`) does not depend on the labels, so that it is
reused when the labels change. Pure functions; memory is bounded for folders of any size.
"""

from __future__ import annotations

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
from zeroshelf.records import Smoothing

BLOCK = 256  # images at once: 256 x 8,192 cosines are 8 MB

Floats = npt.NDArray[np.float32]


def smoothing_of(vectors: npt.NDArray[np.floating]) -> Smoothing:
    """The neighbours and principal-axis coordinates of N images.

    vectors: (N, D), rows of length 1.
    """
    count = len(vectors)
    kept = min(NEIGHBOURS, max(count - 1, 0))
    neighbours = np.empty((count, kept), np.int32)
    cosines = np.empty((count, kept), np.float32)
    mean = vectors.mean(axis=0, dtype=np.float32) if count else vectors.sum(axis=0)

    def centred(rows: slice | npt.NDArray[np.int32]) -> Floats:
        """Those rows minus the folder's mean, scaled to length 1."""
        block: Floats = vectors[rows].astype(np.float32) - mean
        block /= np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-9)
        return block

    anchors = _evenly_spaced(count, MAX_ANCHORS)
    anchor_vectors = centred(anchors).T
    axes = principal_axes(centred(_evenly_spaced(count, MAX_AXIS_SAMPLES)))
    coordinates = np.empty((count, axes.shape[1]), np.float16)
    for start in range(0, count, BLOCK):
        rows = slice(start, min(start + BLOCK, count))
        block = centred(rows)
        coordinates[rows] = block @ axes
        near = block @ anchor_vectors
        near[anchors[None, :] == np.arange(rows.start, rows.stop)[:, None]] = -2  # itself
        top = np.argpartition(near, -kept, axis=1)[:, len(anchors) - kept :]
        neighbours[rows] = anchors[top]
        cosines[rows] = np.take_along_axis(near, top, axis=1)
    return Smoothing(neighbours, cosines, coordinates)


def smooth_by_neighbours(values: Floats, smoothing: Smoothing) -> Floats:
    """(N, C) -> (N, C): each row's weighted mean with the rows of its nearest neighbours."""
    weights = NEIGHBOUR_WEIGHT * np.exp((smoothing.cosines - 1) / NEIGHBOUR_WIDTH)[:, :, None]
    smoothed = np.empty(values.shape, np.float32)
    for start in range(0, len(values), BLOCK):  # 256 x 5 neighbours x 1,000 labels are 5 MB
        rows = slice(start, start + BLOCK)
        own, near = weights[rows], values[smoothing.neighbours[rows]]
        smoothed[rows] = (values[rows] + (own * near).sum(axis=1)) / (1 + own.sum(axis=1))
    return smoothed


def smooth_low_rank(values: Floats, smoothing: Smoothing) -> Floats:
    """(N, C) -> (N, C): a mixture of each value and its ridge regression on the principal axes."""
    count = max(len(values), 1)
    coordinates, mean = smoothing.coordinates.astype(np.float32), values.sum(axis=0) / count
    squares = coordinates.T @ coordinates / count + RIDGE * np.eye(coordinates.shape[1])
    fitted = mean + coordinates @ np.linalg.solve(squares, coordinates.T @ (values - mean) / count)
    return np.asarray((1 - REGRESSION_SHARE) * values + REGRESSION_SHARE * fitted, np.float32)


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


def _evenly_spaced(count: int, most: int) -> npt.NDArray[np.int32]:
    """Up to `most` rows of `count`, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int32))
