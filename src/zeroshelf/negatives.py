"""labels -> the negatives that stay: the bank without what the labels mean themselves."""

from __future__ import annotations

from zeroshelf.bank import Negative, bank
from zeroshelf.labels import spoken
from zeroshelf.records import LabelSet


def kept(labels: LabelSet) -> tuple[Negative, ...]:
    """The bank without what would compete with a label for its own pictures, and the user's own."""
    words = {
        word.casefold()
        for label in labels
        for text in (spoken(label.name), *label.words)
        for word in (text, text.split()[-1])
    }
    own = (Negative(text, f"a photo of a {text}.", "own") for text in labels.negatives)
    return (
        *own,
        *(one for one in bank() if one.name not in words and one.name.split()[-1] not in words),
    )
