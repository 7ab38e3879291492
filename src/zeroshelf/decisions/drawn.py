"""How much nearer an image is to a drawing than to a photograph, in the model's own words.

Labels are asked for as photographs, and an image-text model has seen more of these. So a drawing
of a thing fits the thing's name less than a photograph of it does, and would need another threshold
to stay on its shelf. Part of how much it is drawn is taken off its negative score instead:

    drawn = scale * max(greatest cosine with DRAWINGS - greatest cosine with PHOTOGRAPHS, 0)
    negative score -= DRAWN_SHARE * drawn

Where the user keeps drawings from every shelf ("!cartoon"), it tells what is one
(decisions/unwanted.py): which of the words for them is written matters little to a model.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from zeroshelf.embeddings.halves import widened
from zeroshelf.labels.normalise import dictionary_form, phrase
from zeroshelf.labels.prompts import Texts

DRAWINGS = (
    "a drawing.",
    "a sketch.",
    "a line drawing.",
    "clip art.",
    "a cartoon.",
    "an icon.",
    "an illustration.",
    "a logo.",
    "a painting.",
)
WORDS = frozenset(  # that stand for all drawings; a logo, an icon and a painting are some
    ("drawing", "line drawing", "pencil drawing", "sketch", "cartoon", "comic", "illustration")
) | {"clip art", "clipart"}
PHOTOGRAPHS = (
    "a photo.",
    "a photograph.",
    "a snapshot.",
    "a picture taken with a camera.",
    "a close-up photo.",
)

Floats = npt.NDArray[np.float32]


class Drawn:
    """Says of images how much they are drawn.

    texts: embeds texts with the model that made the images' vectors.
    scale: that model's logit scale.
    """

    def __init__(self, texts: Texts, scale: float) -> None:
        self._texts, self._scale = texts((*DRAWINGS, *PHOTOGRAPHS)), np.float32(scale)

    def logits(self, images: npt.NDArray[np.floating]) -> Floats:
        """(N, D) images -> (N,) logits by which they are nearer to a drawing than to a photograph;
        0 for photographs."""
        cosines = (self._texts @ widened(images).T).T
        drawing = cosines[:, : len(DRAWINGS)].max(axis=1)
        photograph = cosines[:, len(DRAWINGS) :].max(axis=1)
        return np.asarray(self._scale * np.maximum(drawing - photograph, 0), np.float32)


def any_drawing(words: Iterable[str]) -> bool:
    """Whether one of the words, as a user writes them, is for all drawings: "line drawings"."""
    each = (dictionary_form(phrase(word), "en").lower() for word in words)
    return any(one in WORDS or one.rpartition(" ")[2] in WORDS for one in each)
