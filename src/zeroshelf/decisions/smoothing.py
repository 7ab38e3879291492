"""embeddings -> what looks alike in a folder, so that it is decided together.

Two views of the same vectors, centred on the folder's mean. Near by: each picture's nearest others
(a burst, a series). Far and wide: the folder's main axes (all that is indoors). A score that is
noisy for one picture is drawn towards what is said of those near by and of its part of the folder.

Both hold whatever is asked of the folder: other labels need no new ones. Pure, in bounded memory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zeroshelf.records import Likeness

NEIGHBOURS = 5
ANCHORS = 8192  # in a larger folder, neighbours are sought among that many, evenly spread
AXES = 32
SEEN = 1024  # pictures, evenly spread, that the axes are found from
BLOCK = 256  # pictures at once: 256 x 8,192 cosines are 8 MB
PULL, WIDTH = 2.0, 0.2  # a neighbour of cosine c counts PULL * exp((c - 1) / WIDTH)
RIDGE = 0.01  # the share of the folder's variance below which an axis is hardly believed
BELIEF = 0.5  # in what the axes say, against what is said of the picture itself

Floats = npt.NDArray[np.float32]


def likeness(vectors: npt.NDArray[np.floating]) -> Likeness:
    """(N, D), rows of length 1 -> what looks alike among them."""
    count = len(vectors)
    kept = min(NEIGHBOURS, max(count - 1, 0))
    neighbours = np.empty((count, kept), np.int32)
    cosines = np.empty((count, kept), np.float32)
    mean = vectors.mean(axis=0, dtype=np.float32) if count else vectors.sum(axis=0)

    def centred(rows: slice | npt.NDArray[np.int32]) -> Floats:
        away: Floats = vectors[rows].astype(np.float32) - mean
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        return away

    anchors = _spread(count, ANCHORS)
    among = centred(anchors).T
    axes = _axes(centred(_spread(count, SEEN)))
    along = np.empty((count, axes.shape[1]), np.float16)
    for start in range(0, count, BLOCK):
        rows = slice(start, min(start + BLOCK, count))
        block = centred(rows)
        along[rows] = block @ axes
        near = block @ among
        near[anchors[None, :] == np.arange(rows.start, rows.stop)[:, None]] = -2
        top = np.argpartition(near, -kept, axis=1)[:, len(anchors) - kept :]
        neighbours[rows] = anchors[top]
        cosines[rows] = np.take_along_axis(near, top, axis=1)
    return Likeness(neighbours, cosines, along)


def near_by(values: Floats, alike: Likeness) -> Floats:
    """(N, C) -> (N, C): each row's weighted mean with the rows of the pictures that look alike."""
    weights = PULL * np.exp((alike.cosines - 1) / WIDTH)[:, :, None]
    drawn = np.empty(values.shape, np.float32)
    for start in range(0, len(values), BLOCK):  # 256 x 5 neighbours x 1,000 labels are 5 MB
        rows = slice(start, start + BLOCK)
        own, near = weights[rows], values[alike.neighbours[rows]]
        drawn[rows] = (values[rows] + (own * near).sum(axis=1)) / (1 + own.sum(axis=1))
    return drawn


def far_and_wide(values: Floats, alike: Likeness) -> Floats:
    """(N, C) -> (N, C): half itself, half its ridge regression on the folder's main axes."""
    count = max(len(values), 1)
    along, mean = alike.along.astype(np.float32), values.sum(axis=0) / count
    squares = along.T @ along / count + RIDGE * np.eye(along.shape[1])
    fitted = mean + along @ np.linalg.solve(squares, along.T @ (values - mean) / count)
    return np.asarray((1 - BELIEF) * values + BELIEF * fitted, np.float32)


def _spread(count: int, most: int) -> npt.NDArray[np.int32]:
    """Up to `most` rows of `count`, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int32))


def _axes(rows: Floats) -> Floats:
    """(M, D) centred rows -> (D, R), the directions in which they differ most, of length 1."""
    if len(rows) < rows.shape[1]:  # the smaller of the two squares has the same axes
        _, found = np.linalg.eigh(rows @ rows.T)
        axes = rows.T @ found[:, -AXES:]
    else:
        _, found = np.linalg.eigh(rows.T @ rows)
        axes = found[:, -AXES:]
    return np.asarray(axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-9), np.float32)
