"""k-means, the silhouette and principal axes of our own, against SciPy's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from zeroshelf.decisions import constants
from zeroshelf.decisions.smoothing import principal_axes
from zeroshelf.labels import suggest

WHY = "SciPy, of the dev extra, is missing"
vq = pytest.importorskip("scipy.cluster.vq", reason=WHY)
distance = pytest.importorskip("scipy.spatial.distance", reason=WHY)
linalg = pytest.importorskip("scipy.linalg", reason=WHY)

Points = npt.NDArray[np.float32]


def unit(rows: npt.NDArray[np.floating]) -> Points:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def scattered(seed: int, count: int = 240, dim: int = 12, heaps: int = 5) -> Points:
    """(count, dim): rows of length 1 in heaps that overlap."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(heaps, dim))
    return unit(centres[rng.integers(heaps, size=count)] + 0.6 * rng.normal(size=(count, dim)))


def centroids(points: Points, groups: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.stack([points[groups == g].mean(axis=0, dtype=float) for g in np.unique(groups)])


def cost(points: Points, centres: npt.NDArray[np.float64]) -> float:
    return float((distance.cdist(points, centres).min(axis=1) ** 2).sum())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [2, 5, 8])
def test_scipys_k_means_does_not_move_our_groups(seed: int, size: int) -> None:
    points = scattered(seed)
    ours = suggest._kmeans(points, size)
    assert set(ours) == set(range(size))
    _, theirs = vq.kmeans2(points.astype(float), centroids(points, ours), iter=50, minit="matrix")
    assert (theirs == ours).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [2, 5, 8])
def test_scipys_k_means_finds_nothing_much_better(seed: int, size: int) -> None:
    points = scattered(seed)
    ours = cost(points, centroids(points, suggest._kmeans(points, size)))
    tries = [vq.kmeans2(points.astype(float), size, 50, minit="++", rng=n)[0] for n in range(10)]
    assert ours <= 1.02 * min(cost(points, centres) for centres in tries)


def silhouette(points: Points, groups: npt.NDArray[np.int64]) -> float:
    """Rousseeuw's definition, a point at a time."""
    away = distance.squareform(distance.pdist(points.astype(float)))
    values = []
    for at, own in enumerate(groups):
        mine = (groups == own) & (np.arange(len(points)) != at)
        if not mine.any():
            values.append(0.0)
            continue
        a = away[at, mine].mean()
        b = min(away[at, groups == other].mean() for other in set(groups) - {own})
        values.append((b - a) / max(a, b))
    return float(np.mean(values))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [2, 3, 6])
def test_the_silhouette_is_that_of_scipys_distances(seed: int, size: int) -> None:
    points = scattered(seed, count=90)
    for groups in (np.arange(90) % size, suggest._kmeans(points, size)):
        assert suggest._silhouette(points, groups) == pytest.approx(
            silhouette(points, groups), abs=1e-5
        )


def test_the_silhouette_of_a_point_alone_is_zero() -> None:
    points = scattered(1, count=30)
    groups = np.arange(30) % 2
    groups[7] = 2
    assert suggest._silhouette(points, groups) == pytest.approx(
        silhouette(points, groups), abs=1e-5
    )
    assert suggest._silhouette(points, np.arange(30)) == 0


def test_the_silhouette_skips_numbers_of_groups_without_points() -> None:
    points = scattered(0, count=60)
    groups = np.arange(60) % 3
    assert suggest._silhouette(points, 2 * groups) == pytest.approx(
        silhouette(points, groups), abs=1e-5
    )


@pytest.mark.parametrize(("count", "dim"), [(200, 48), (40, 96), (12, 20), (90, 8)])
def test_the_principal_axes_are_scipys(count: int, dim: int) -> None:
    rng = np.random.default_rng(count)
    rows = np.asarray(rng.normal(size=(count, dim)) * np.linspace(0.2, 2, dim), np.float32)
    axes = principal_axes(rows)
    _, _, right = linalg.svd(rows.astype(float), full_matrices=False)
    expected = right[: constants.PRINCIPAL_AXES][::-1].T  # in ascending order of variance
    assert axes.shape == expected.shape
    assert np.allclose(np.abs((axes * expected).sum(axis=0)), 1, atol=1e-3)


@pytest.mark.parametrize(("count", "dim"), [(300, 64), (40, 10)])
def test_suggest_groups_on_scipys_principal_axes(count: int, dim: int) -> None:
    rng = np.random.default_rng(dim)
    vectors = unit(rng.normal(size=(count, dim)) * np.linspace(0.2, 2, dim) + 1)
    centred = vectors.astype(float) - vectors.mean(axis=0, dtype=float)
    left, values, _ = linalg.svd(centred, full_matrices=False)
    expected = unit((left * values)[:, : suggest.DIMENSIONS])
    points = suggest._principal(vectors)
    assert points.shape == expected.shape
    assert np.allclose(points @ points.T, expected @ expected.T, atol=1e-3)
    assert np.allclose(np.abs(points), np.abs(expected), atol=1e-2)
