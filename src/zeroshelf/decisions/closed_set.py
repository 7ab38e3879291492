"""The rules of a closed set (--no-other), in which every picture fits one of the labels."""

from __future__ import annotations

from zeroshelf.errors import UserError
from zeroshelf.records import Request

NOTE = (
    "a closed set (--no-other): every picture is on the shelf of its best label, even one that "
    "fits none; the probabilities compare these labels only"
)


def check(request: Request) -> None:
    """Raise `UserError` where a closed set has one label only, or is asked for together with what
    sends pictures to "other": a threshold, a label's own threshold, a threshold offset or a
    negative label."""
    if request.other:
        return
    if len(request.labels) < 2:
        raise UserError(
            "--no-other needs two labels or more: with one, every picture would be on its shelf"
        )
    own = next((one.name for one in request.labels if one.threshold is not None), None)
    if request.threshold is not None:
        what = "--threshold"
    elif own is not None:
        what = f"the threshold of the label {own!r}"
    elif request.labels.negatives:
        what = f"the negative label !{request.labels.negatives[0]}"
    elif request.offset:
        what = "a threshold offset"
    else:
        return
    raise UserError(
        f'{what} sends pictures to "other", and --no-other leaves no such shelf: '
        "leave one of the two out"
    )
