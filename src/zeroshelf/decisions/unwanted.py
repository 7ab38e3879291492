"""What the user keeps from every shelf ("!dog"): labels whose shelf is "other".

Of an image's five nearest negative labels a word of the user's is one, and a wide label ("animal")
has removed those beside it from the rest; so it would hardly count. Here it is asked as a label is,
and competes with the labels. With o the greatest logit of the M unwanted words and b that of the
labels, both by the prompts of labels/prompts.py, an image is none of the labels with a probability
of sigmoid((o - b) / label_temperature) at least, their share of a softmax (decisions/decide.py).

b is also the logit of any negative label that is no negative beside these labels, as it means the
same or a kind of it, and that pictures of an unwanted word don't show as well: a giraffe is an
animal, though it may be nearer to "horse" than to "animal". A label that is a kind of an unwanted
word is left to the user's labels: beside "windmill", "!building" keeps the other buildings away.
Where a word is for drawings and no label is, o - b is at least
UNWANTED_DRAWN_SHARE * (drawn - UNWANTED_DRAWN_FROM) (decisions/drawn.py).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from zeroshelf.decisions.constants import (
    OTHER_WAYS_RANK_SHARE,
    UNWANTED_DRAWN_FROM,
    UNWANTED_DRAWN_SHARE,
)
from zeroshelf.decisions.drawn import any_drawing
from zeroshelf.decisions.ways import Ways, groups_of
from zeroshelf.labels.negative_filter import related, shown_as_well
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.prompts import Texts, mean_vectors
from zeroshelf.labels.resolve import resolve
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import Label, LabelSet, ResolvedLabel, ResolvedLabels

Floats = npt.NDArray[np.float32]


class Unwanted:
    """Tells how well images fit what the user keeps from every shelf.

    resolved: the K labels of the set, with M negatives, one at least.
    removed: the rows of the negative labels that the negative filter removed beside the labels.
    texts: embeds texts with the model that made the images' vectors.
    scale: that model's logit scale.
    """

    def __init__(
        self, resolved: ResolvedLabels, removed: Iterable[int], texts: Texts, scale: float
    ) -> None:
        labels = resolved.labels
        own = tuple(Label(word) for word in labels.negatives)
        asked = LabelSet(own, templates=labels.templates, language=labels.language)
        unwanted = resolve(asked, texts)
        self._ways, self._scale = Ways(unwanted), np.float32(scale)
        self._vectors = mean_vectors(groups_of(unwanted), texts)
        its = set[int]()
        for one in unwanted:
            its |= shown_as_well(one.also_shown)
            for word in one.words:
                its |= related(word.text, word.sense).keys()
        every = negative_labels()
        prompts = [every[row].prompt for row in removed if row not in its]
        self._wanted = texts(prompts) if prompts else self._vectors[:0]
        self._kind_of = np.array(
            [[_is_kind_of(one, wide) for wide in unwanted] for one in resolved]
        )
        asked_for = any_drawing(word.text for one in resolved for word in one.words)
        drawings = [] if asked_for else [any_drawing([word]) for word in labels.negatives]
        self._drawing = drawings.index(True) if any(drawings) else None

    @property
    def drawings(self) -> bool:
        """Whether drawings are kept from every shelf."""
        return self._drawing is not None

    def ahead(
        self, images: Floats, labels: npt.NDArray[np.intp], best: Floats, drawn: Floats
    ) -> tuple[Floats, Floats, npt.NDArray[np.int32]]:
        """How much better the images fit an unwanted word than any label, and which word.

        images: (N, D).
        labels: (N,), the best label.
        best: (N,), its logit.
        drawn: (N,), as by `Drawn.logits`.

        Returns (N,) logits by which, (N,) logits of the nearest unwanted word, and (N,) its row
        among the negatives; -1 where a label fits better.
        """
        cosines = (self._vectors @ images.T).T
        logits = self._ways.logits(self._scale * cosines, OTHER_WAYS_RANK_SHARE)
        logits = np.where(self._kind_of[labels], np.float32(-np.inf), logits)
        same = (images @ self._wanted.T).max(axis=1, initial=-1)
        nearest, which = logits.max(axis=1), logits.argmax(axis=1)
        ahead = nearest - np.maximum(best, self._scale * same)
        if self._drawing is not None:
            clearly = np.float32(UNWANTED_DRAWN_SHARE) * (drawn - np.float32(UNWANTED_DRAWN_FROM))
            by_style = clearly > ahead
            which = np.where(by_style, self._drawing, which)
            nearest = np.where(by_style & (clearly > 0), np.float32(np.inf), nearest)
            ahead = np.maximum(ahead, clearly)
        which = np.where(ahead > 0, which, -1)
        return np.asarray(ahead, np.float32), nearest, np.asarray(which, np.int32)


def _is_kind_of(one: ResolvedLabel, wide: ResolvedLabel) -> bool:
    """Whether the sense of a label's name is that of another's, or lies below it in WordNet."""
    sense, above = one.words[0].sense, wide.words[0].sense
    if sense is None or above is None:
        return False
    return above.row == sense.row or above.row in wordnet().above(sense.row)
