"""Runs and a written truth -> what is right, and what is right in one of two runs alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from zeroshelf.decisions.evaluate import Evaluation, evaluate
from zeroshelf.errors import UserError
from zeroshelf.labels.normalise import comparable
from zeroshelf.labels.parse import MEANS_OTHER
from zeroshelf.run.run import Run
from zeroshelf.system import path_spelling, text_files

Written = Mapping[str, tuple[str, ...]]  # a picture's path -> all labels that are true of it


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A run compared with a written truth."""

    run: Run
    evaluation: Evaluation
    pictures: Mapping[str, int]  # a path as it is written in the truth -> its row of the run
    missing: tuple[str, ...]  # paths of the truth that are no picture of the run
    unknown: Mapping[str, int]  # names that are no label of the run, and of how many pictures

    @property
    def right(self) -> set[str]:
        """The paths, as written in the truth, of the pictures on a right shelf."""
        wrong = set(self.evaluation.wrong)
        return {path for path, row in self.pictures.items() if row not in wrong}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, each compared with the truth of the pictures that both have."""

    first: Evaluated
    second: Evaluated
    gained: tuple[str, ...]  # paths of pictures that only the first has on a right shelf
    lost: tuple[str, ...]  # and that only the second has


def evaluated(run: Run, truth: Written) -> Evaluated:
    """Compare a run with the truth. Unlike `Run.evaluate`, it passes over pictures that the run
    does not have, and takes "Cat" for the label "cat"; what means "other" is "other".

    Raises `UserError` if no picture of the truth is in the run.
    """
    place = {picture.path: row for row, picture in enumerate(run.embeddings.pictures)}
    folder = run.request.folder
    rows = {path: place.get(path_spelling.below(folder, path)) for path in truth}
    pictures = {path: row for path, row in rows.items() if row is not None}
    if not pictures:
        raise UserError(
            f"no path of the truth, such as {next(iter(truth), 'none')}, is a picture of run "
            f"{run.id}, which is of {folder}: give absolute paths, or paths below it"
            f"{encoding_advice(truth)}"
        )
    named = {comparable(name): name for name in run.labels.names}
    unknown: Counter[str] = Counter()
    known: dict[int, list[str]] = {}
    for path, row in pictures.items():
        names = [named.get(comparable(name), name) for name in truth[path]]
        if known.setdefault(row, names) != names:
            raise UserError(f"{path} is named twice, with different labels")
        unknown.update(n for n in known[row] if comparable(n) not in {*named, *MEANS_OTHER})
    missing = tuple(path for path in truth if path not in pictures)
    return Evaluated(run, evaluate(run.decisions, known), pictures, missing, unknown)


def encoding_advice(paths: Iterable[str]) -> str:
    """How to save the file of the truth, as the end of a sentence, where some of `paths` that are
    no picture of the run are no UTF-8; else ""."""
    if all(map(text_files.is_text, paths)):
        return ""
    return "; some are no UTF-8 text: save the file as UTF-8 (Excel: CSV UTF-8)"


def compare(first: Run, second: Run, truth: Written) -> Comparison:
    """Compare two runs on the pictures that both have. A path below the run's folder is looked for
    in either run's own, so that copies of a folder can be compared.

    Raises `UserError` if they have no picture of the truth in common.
    """
    both = set(evaluated(first, truth).pictures) & set(evaluated(second, truth).pictures)
    if not both:
        raise UserError(f"runs {first.id} and {second.id} have no picture of the truth in common")
    one, other = evaluated(first, _only(truth, both)), evaluated(second, _only(truth, both))
    gained, lost = one.right - other.right, other.right - one.right
    return Comparison(one, other, tuple(sorted(gained)), tuple(sorted(lost)))


def _only(truth: Written, paths: Collection[str]) -> Written:
    return {path: names for path, names in truth.items() if path in paths}
