"""What `zeroshelf models calibrate` changes, and what that does to the given pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from zeroshelf.commands.terminal import Screen
from zeroshelf.errors import UserError

if TYPE_CHECKING:
    from zeroshelf.decisions.calibration_check import Figures, Scored
    from zeroshelf.records import Calibration, Encoder, Model, Skipped


def measure(screen: Screen, model: Model, folders: Sequence[str], device: str | None) -> int:
    """Calibrate a model on the sorted pictures in `folders`, show what changes and store it; the
    exit code. Raises `UserError`, and changes nothing, where the calibration must not be used."""
    from zeroshelf.decisions import calibration_check
    from zeroshelf.models import calibrations, select

    measured, scored, skipped = _measured(
        screen, select.load(model, device, warn=screen.warn), folders
    )
    for one in skipped:
        screen.warn(f"skipped {one.path}: {one.reason}")
    before = select.calibration(model)
    then, now = (calibration_check.figures(scored, one) for one in (before, measured))
    _show(screen, before, measured, then, now)
    if why_not := calibration_check.refusal(now):
        raise UserError(
            f"this calibration is refused, and nothing was changed: {why_not}; "
            f"{model.id} can't tell these pictures apart, or they lie in the wrong folders"
        )
    file = calibrations.store(model, measured)
    screen.say(f"before: {calibrations.described(before)}")
    screen.say(f"{model.id}: {calibrations.described(measured)}")
    screen.say(f"Changed: {file}; --forget removes it.")
    screen.data(
        {"id": model.id, "file": str(file)}
        | calibrations.as_json(measured)
        | {"before": calibrations.as_json(before)}
        | {"figures": {"before": _as_json(then), "after": _as_json(now)}}
    )
    return 1 if skipped else 0


def _measured(
    screen: Screen, encoder: Encoder, folders: Sequence[str]
) -> tuple[Calibration, list[Scored], tuple[Skipped, ...]]:
    """The calibration by the sorted pictures in `folders`, the simulated folders that it was made
    from, and the files that could not be read."""
    from zeroshelf.decisions import calibrate, likely_negatives
    from zeroshelf.embeddings import compute
    from zeroshelf.embeddings.cache import EmbeddingCache

    pictures, names = calibrate.scan_sorted(folders)
    with EmbeddingCache.open() as store, screen.progress() as progress:
        embedded = compute.embed(pictures, encoder, store, progress=progress)
        texts = compute.text_embedder(encoder, store, progress)
        negatives = likely_negatives.of_folder(embedded, store, progress)
        shown = [names[picture.path] for picture in embedded.pictures]
        measured, scored = calibrate.from_labelled(embedded, shown, texts, negatives)
    return measured, scored, embedded.skipped


def _show(
    screen: Screen, before: Calibration, after: Calibration, then: Figures, now: Figures
) -> None:
    """Both calibrations and their figures on the same folders, one column each."""
    numbers = [
        ("OOD threshold, logits", before.ood_threshold, after.ood_threshold),
        ("OOD temperature, logits", before.ood_temperature, after.ood_temperature),
        ("label temperature, logits", before.label_temperature, after.label_temperature),
        ("typical logit", before.typical_logit, after.typical_logit),
    ]
    shares = [
        ("kept, where every picture fits a label", then.kept, now.kept),
        ("on the right shelf, of those that fit a label", then.right, now.right),
        ("in other, of those that fit none", then.other_right, now.other_right),
        ("right, of the decisions that are sure", then.sure_right, now.sure_right),
        ("sure, of all decisions", then.sure, now.sure),
    ]
    rows = [(name, _number(one), _number(two)) for name, one, two in numbers]
    rows += [(name, _percent(one), _percent(two)) for name, one, two in shares]
    screen.table(("on these pictures", f"before ({before.origin})", "after"), rows)


def _as_json(figures: Figures) -> dict[str, float | None]:
    """The figures as JSON has them: null for a share of nothing."""
    return {name: None if math.isnan(one) else one for name, one in asdict(figures).items()}


def _number(value: float | None) -> str:
    return "the folder's own" if value is None else f"{value:g}"


def _percent(share: float) -> str:
    return "\u2013" if math.isnan(share) else f"{100 * share:.1f} %"
