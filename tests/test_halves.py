"""Half-precision numbers widened by their bits."""

from __future__ import annotations

import numpy as np

from zeroshelf.embeddings.halves import widened


def test_every_finite_half_becomes_the_same_number() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = every[np.isfinite(every)].reshape(-1, 31)
    for given in (halves, halves[::2, ::3], halves.T):  # also where they do not lie side by side
        found, wanted = widened(given), given.astype(np.float32)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))  # of zeros too
    assert widened(np.zeros((0, 4), np.float16)).shape == (0, 4)


def test_other_types_are_taken_as_they_are() -> None:
    given = np.array([[0.1, 1e30]], np.float32)
    assert widened(given) is given
    assert widened(given.astype(np.float64)).dtype == np.float32
