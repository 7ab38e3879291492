"""A filter for organize 3: `python -m zeroshelf.integrations.organize run rules.yaml`.

    filters:
      - zeroshelf:
          labels: [cat, red car]
    actions:
      - move: "~/Sorted/{zeroshelf.label}/"

A picture passes that fits one of the labels. organize asks for one file at a time; the folder that
the rule searches is classified once, so that each picture is judged among the others. organize has
no plug-ins of its own, so it is started through this module, with the same arguments.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from zeroshelf.errors import NothingToSort, UserError
from zeroshelf.labels import labels_file, parse
from zeroshelf.records import OTHER, Confidence, Decision, LabelSet

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "zeroshelf"


@dataclass
class Zeroshelf:
    """labels: words, as for `zeroshelf sort -l`. labels_file: in their place, a labels file.
    least: the least confidence that passes. other: let pictures pass that fit no label, as "other".
    model: a model's id or folder.

    It sets `{zeroshelf.label}`, `{zeroshelf.probability}` and `{zeroshelf.confidence}`. Raises
    `ValueError` for settings that can't work.
    """

    labels: list[str] | str | None = None
    labels_file: str | None = None
    least: str = "likely"
    other: bool = False
    model: str | None = None

    filter_config: ClassVar[Any] = None  # `main` sets it: only organize has its type

    def __post_init__(self) -> None:
        if self.least not in get_args(Confidence):
            raise ValueError(f"least is {self.least!r}, and not sure, likely or unsure")
        if (self.labels is None) == (self.labels_file is None):
            raise ValueError("give labels or labels_file")
        words = [self.labels] if isinstance(self.labels, str) else self.labels
        try:
            self._labels = (
                labels_file.read(os.path.expanduser(self.labels_file))
                if self.labels_file is not None
                else parse.parse([str(word) for word in words or ()])
            )
        except UserError as error:
            raise ValueError(str(error)) from None

    def pipeline(self, res: Any, output: Any) -> bool:
        """Whether the file `res.path` passes. organize shows what is raised here."""
        folder = res.basedir or os.path.dirname(res.path)
        decided = _decisions(os.path.abspath(folder), self._labels, self.model)
        found = decided.get(os.path.abspath(res.path))
        if found is None or not self._passes(found):
            return False
        res.vars[NAME] = {
            "label": found.label,
            "probability": round(found.probability, 3),
            "confidence": found.confidence,
        }
        return True

    def _passes(self, found: Decision) -> bool:
        if found.label == OTHER:
            return self.other
        confident = {"sure": 2, "likely": 1, "unsure": 0}
        return confident[found.confidence] >= confident[self.least]


@lru_cache(maxsize=8)
def _decisions(folder: str, labels: LabelSet, model: str | None) -> Mapping[str, Decision]:
    """Path -> decision, of every picture below `folder`."""
    from zeroshelf.run import classify

    try:
        run = classify(folder, labels, model=model)
    except NothingToSort:
        return {}
    return {decision.picture.path: dataclasses.replace(decision) for decision in run}


def main() -> None:
    """organize's own command line, with the filter."""
    try:
        from organize.cli import cli
        from organize.filter import FilterConfig
        from organize.registry import register_filter
    except ImportError:
        raise SystemExit(
            'zeroshelf: organize is not installed here: pip install "organize-tool>=3.3"'
        ) from None
    Zeroshelf.filter_config = FilterConfig(name=NAME, files=True, dirs=False)
    register_filter(Zeroshelf)
    cli()


if __name__ == "__main__":
    main()
