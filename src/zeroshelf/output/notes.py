"""User-facing warnings about a run: on the screen, in the report and on the review page."""

from __future__ import annotations

from collections.abc import Iterator

from zeroshelf.corrections.classification import Classification
from zeroshelf.counting import counted
from zeroshelf.decisions import closed_set
from zeroshelf.images.quality import PROBLEMS
from zeroshelf.labels.advice import summary_lines
from zeroshelf.models import select


def lines(run: Classification) -> Iterator[str]:
    """One line each: about the model, the labels, damaged and poor pictures, and corrections."""
    yield from select.notes(run.model, run.decisions.calibration, run.labels)
    yield from of_decisions(run)


def of_decisions(run: Classification) -> Iterator[str]:
    """Those of `lines` that don't depend on which models are installed."""
    if not run.request.other:
        yield closed_set.NOTE
    yield from summary_lines(run.advice)
    noted = run.embeddings.notes.values()
    poor = sum(note in PROBLEMS for note in noted)
    if short := len(noted) - poor:
        half = "picture is cut short and was", "pictures are cut short and were"
        yield f"{counted(short, *half)} judged by what is there"
    if poor:
        dark = "picture is dark or blurred: it", "pictures are dark or blurred: they"
        yield f"{counted(poor, *dark)} must fit a label better than others"
    if number := len(run.corrections.stored):
        followed = (
            "stored correction for these labels is followed (--no-corrections: without it)",
            "stored corrections for these labels are followed (--no-corrections: without them)",
        )
        yield counted(number, *followed)
