"""The sentences that give the reason of a decision, and the spelling that they avoid.

{0} is the best label; {1} is the second best in those of `NAME_SECOND`, and a negative label in
those of `NAME_NEGATIVE`.
"""

from __future__ import annotations

CLOSED = "of these labels, most like {0}"
CLOSED_EITHER = "of these labels, most like {0} or {1}"
BELOW_THRESHOLD = "looks like {0}, but the threshold asks for more"
EITHER_OTHER = "could be {0} or {1}, but none of them is as likely as other"
OTHER_INSTEAD = "nearest label is {0}, but it looks more like {1}"
LOW_THRESHOLD = "looks more like {1} than {0}, but the threshold asks for no more"
EITHER = "looks like {0}, or like {1}"
UNSURE = "looks like {0}, but nearly as much like {1}"
CLEAR = "looks like {0}"
NAME_SECOND = (CLOSED_EITHER, EITHER_OTHER, EITHER)
NAME_NEGATIVE = (OTHER_INSTEAD, LOW_THRESHOLD, UNSURE)
REASONS = (CLOSED, BELOW_THRESHOLD, CLEAR, *NAME_SECOND, *NAME_NEGATIVE)

SPELLED_ALIKE = 3  # letters at the start of two words that look alike in spelling alone


def beginnings(text: str) -> set[str]:
    """How the words of a text begin: the first `SPELLED_ALIKE` letters of those that have them."""
    return {word[:SPELLED_ALIKE] for word in text.lower().split() if len(word) >= SPELLED_ALIKE}
