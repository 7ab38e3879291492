"""What the user keeps from every shelf ("!dog"): labels whose shelf is "other".

Of an image's five nearest negative labels a word of the user's is one, and a wide label ("animal")
has removed those beside it from the rest; so it would hardly count. Here it is asked as a label is,
and competes with the labels. With o the greatest logit of the M unwanted words and b that of the
labels, both by the prompts of labels/prompts.py, an image is none of the labels with a probability
of sigmoid((o - b) / label_temperature) at least, their share of a softmax (decisions/decide.py).

b is also the logit of any negative label that is no negative beside these labels, as it means the
same or a kind of it, and that pictures of an unwanted word don't show as well: a giraffe is an
animal, though it may be nearer to "horse" than to "animal". Where a word is for drawings, o - b is
at least UNWANTED_DRAWN_SHARE * (drawn - UNWANTED_DRAWN_FROM) (decisions/drawn.py).
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
from zeroshelf.records import Label, LabelSet

Floats = npt.NDArray[np.float32]


class Unwanted:
    """Tells how well images fit what the user keeps from every shelf.

    labels: the set, with M negatives, one at least.
    removed: the rows of the negative labels that the negative filter removed beside the labels.
    texts: embeds texts with the model that made the images' vectors.
    scale: that model's logit scale.
    """

    def __init__(
        self, labels: LabelSet, removed: Iterable[int], texts: Texts, scale: float
    ) -> None:
        self.drawings = any_drawing(labels.negatives)
        own = tuple(Label(word) for word in labels.negatives)
        asked = LabelSet(own, templates=labels.templates, language=labels.language)
        resolved = resolve(asked, texts)
        self._ways, self._scale = Ways(resolved), scale
        self._vectors = mean_vectors(groups_of(resolved), texts)
        its = set[int]()
        for one in resolved:
            its |= shown_as_well(one.also_shown)
            for word in one.words:
                its |= related(word.text, word.sense).keys()
        every = negative_labels()
        self._wanted = texts([every[row].prompt for row in removed if row not in its])

    def ahead(
        self, images: Floats, best: Floats, drawn: Floats
    ) -> tuple[Floats, npt.NDArray[np.int32]]:
        """How much better the images fit an unwanted word than any label, and which word.

        images: (N, D).
        best: (N,), the greatest logit of a label.
        drawn: (N,), as by `Drawn.logits`.

        Returns (N,) logits, and (N,) rows of the negatives; -1 where a label fits better.
        """
        cosines = (self._vectors @ images.T).T
        logits = self._ways.logits(self._scale * cosines, OTHER_WAYS_RANK_SHARE)
        same = (images @ self._wanted.T).max(axis=1, initial=-1)
        ahead = logits.max(axis=1) - np.maximum(best, np.float32(self._scale) * same)
        if self.drawings:
            clearly = np.float32(UNWANTED_DRAWN_SHARE) * (drawn - np.float32(UNWANTED_DRAWN_FROM))
            ahead = np.maximum(ahead, clearly)
        which = np.where(ahead > 0, logits.argmax(axis=1), -1)
        return np.asarray(ahead, np.float32), np.asarray(which, np.int32)
