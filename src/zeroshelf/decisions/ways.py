"""The logits of a label's prompt groups, its own and the lexicon's other ways, -> one logit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.constants import OTHER_WAYS_SHARE, PROMPT_COUNT_PENALTY
from zeroshelf.records import ResolvedLabel

Floats = npt.NDArray[np.float32]


def groups_of(resolved: Iterable[ResolvedLabel]) -> list[tuple[str, ...]]:
    """The prompt groups of labels: each label's own, then its other ways."""
    return [group for one in resolved for group in (*one.prompts, *one.other_ways)]


class Ways:
    """Joins the logits of the prompt groups of K labels, in the order of `groups_of`, to one logit
    a label."""

    def __init__(self, resolved: Iterable[ResolvedLabel]) -> None:
        resolved = list(resolved)
        own = np.array([len(one.prompts) for one in resolved])
        others = np.array([len(one.other_ways) for one in resolved])
        every = own + others
        self._first = np.cumsum([0, *every])[:-1]
        self._own = _in_turn(self._first, own)[1:]
        self._others = _in_turn(self._first + own, others)
        self._own_penalty, self._penalty = (
            (np.float32(PROMPT_COUNT_PENALTY) * np.log(count).astype(np.float32))[:, None]
            for count in (own, every)
        )

    def logits(self, groups: npt.NDArray[np.floating], others: float = OTHER_WAYS_SHARE) -> Floats:
        """(N, W) logits of the groups -> (N, K) of the labels; `others` is the weight of the best
        group with `other_ways` among them, against the best of the label's own. Both lie in memory
        group after group, so that one group of all images is read at once."""
        by_group = np.ascontiguousarray(groups.T)  # (W, N)
        best = by_group[self._first]
        for labels, rows in self._own:
            best[labels] = np.maximum(best[labels], by_group[rows])
        own = best - self._own_penalty
        if self._others:
            for labels, rows in self._others:
                best[labels] = np.maximum(best[labels], by_group[rows])
            own += np.float32(others) * (best - self._penalty - own)
        return np.asarray(own, np.float32).T


def _in_turn(
    first: npt.NDArray[np.intp], counts: npt.NDArray[np.intp]
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Labels and one group of each, as often as it takes to name every group once: `counts` of them
    a label, from the group `first` on."""
    each = (np.flatnonzero(counts > place) for place in range(counts.max(initial=0)))
    return [(labels, first[labels] + place) for place, labels in enumerate(each)]
