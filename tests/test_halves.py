"""Half-precision numbers widened by their bits."""

from __future__ import annotations

import numpy as np

from zeroshelf.embeddings.halves import widened

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def test_every_half_becomes_the_same_number() -> None:
    halves = EVERY[np.isfinite(EVERY)].reshape(-1, 31)
    for given in (halves, halves[::2, ::3], halves.T):  # also where they do not lie side by side
        found, wanted = widened(given), given.astype(np.float32)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))  # of zeros too
    assert widened(np.zeros((0, 4), np.float16)).shape == (0, 4)
    for one in EVERY[~np.isfinite(EVERY)]:  # each alone, beside a number
        given = np.array([one, 0.5], np.float16)
        np.testing.assert_array_equal(widened(given), given.astype(np.float32))


def test_other_types_are_taken_as_they_are() -> None:
    given = np.array([[0.1, 1e30]], np.float32)
    assert widened(given) is given
    assert widened(given.astype(np.float64)).dtype == np.float32
