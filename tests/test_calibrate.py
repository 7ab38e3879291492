"""`zeroshelf models calibrate`: constants of a model from pictures that are sorted already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests import tiny
from tests.test_decisions import said
from tests.test_fetch import tree
from zeroshelf.commands.cli import cli
from zeroshelf.decisions.calibration_check import figures
from zeroshelf.errors import UserError
from zeroshelf.models import calibrations, select
from zeroshelf.records import Calibration

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "cat": (255, 255, 255)}


@pytest.fixture
def sorted_already(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0)
    for name, colour in (COLOURS | {"other": (9, 9, 9)}).items():
        (tmp_path / "Sorted" / name).mkdir(parents=True)
        for number in range(15):
            pixels = np.clip(np.array(colour) + noise.normal(0, 40, (8, 8, 3)), 0, 255)
            picture = Image.fromarray(pixels.astype(np.uint8))
            picture.save(tmp_path / "Sorted" / name / f"{number}.png")
    return tmp_path / "Sorted"


def run(*words: object) -> dict[str, Any]:
    result = CliRunner().invoke(cli, ["models", *map(str, words), "--json"])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_constants_are_measured_kept_shown_and_forgotten(
    tmp_path: Path, home: Path, sorted_already: Path
) -> None:
    folder = tiny.immich(tmp_path / "model", logit_scale=20)
    before = tree(folder), tree(sorted_already)
    default = select.calibration(select.find(str(folder)))
    told = run("calibrate", sorted_already, "--model", folder)
    assert "60 pictures under 4 names" in told["source"]  # not those of "other"
    stored = select.calibration(select.find(str(folder)))
    assert (stored.ood_threshold, stored.source) == (told["delta"], told["source"])
    assert (default.origin, stored.origin, told["origin"]) == ("default", "measured", "measured")
    assert told["source"] in run("show", folder)["other"]
    assert (tree(folder), tree(sorted_already)) == before
    assert Path(told["file"]).is_relative_to(home)
    assert select.calibration(select.find()).source != stored.source  # another model's are its own
    run("calibrate", "--model", folder, "--forget")
    assert select.calibration(select.find(str(folder))) == default


@pytest.mark.parametrize(
    "kept", [{"unheard": 1}, {"delta": "low"}, {"origin": "x"}, {"version": 9}]
)
def test_kept_constants_that_are_damaged_are_named(tmp_path: Path, kept: dict[str, object]) -> None:
    folder = tiny.immich(tmp_path / "model", logit_scale=20)
    file = calibrations.store(select.find(str(folder)), Calibration())
    file.write_text(json.dumps(kept))
    with pytest.raises(UserError, match="open_set") as refused:
        select.calibration(select.find(str(folder)))
    assert str(file) in str(refused.value)


def test_before_and_after_are_shown_on_the_given_pictures(
    tmp_path: Path, home: Path, sorted_already: Path
) -> None:
    folder = tiny.immich(tmp_path / "model", logit_scale=20)
    told = run("calibrate", sorted_already, "--model", folder)
    assert told["before"] == calibrations.as_json(Calibration())
    names = {"kept", "right", "other_right", "sure_right", "sure"}
    assert told["figures"]["before"].keys() == told["figures"]["after"].keys() == names
    for share in told["figures"]["after"].values():
        assert share is None or 0 <= share <= 1
    again = CliRunner().invoke(
        cli, ["models", "calibrate", str(sorted_already), "--model", str(folder)]
    )
    assert again.exit_code == 0
    said = " ".join(again.output.split())
    assert "before (measured)" in said and told["file"] in said  # the first is the one before
    for words in ("kept, where every", "on the right shelf", "in other, of", "that are sure"):
        assert words in said
    assert f"OOD threshold, logits {told['delta']:g} {told['delta']:g}" in said


@pytest.mark.parametrize(
    ("threshold", "says"),
    [
        (-1000.0, 'it would switch "other" off: 100 %'),
        (1000.0, "leave nothing on the shelves: 0 %"),
    ],
)
def test_a_calibration_that_decides_nothing_is_refused(
    tmp_path: Path,
    sorted_already: Path,
    monkeypatch: pytest.MonkeyPatch,
    threshold: float,
    says: str,
) -> None:
    folder = tiny.immich(tmp_path / "model", logit_scale=20)
    run("calibrate", sorted_already, "--model", folder)
    before = select.calibration(select.find(str(folder)))
    monkeypatch.setattr("zeroshelf.decisions.calibrate._best_threshold", lambda *_: threshold)
    with pytest.raises(UserError, match=says):
        run("calibrate", sorted_already, "--model", folder)
    assert select.calibration(select.find(str(folder))) == before


def test_the_figures_are_those_of_the_decision() -> None:
    """One folder without OOD images and one with: by eye."""
    scores = said([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [-9.0, -9.0]], [0.0] * 4)
    clean, mixed = np.array([0, 1, 1, 0]), np.array([0, 1, -1, -1])
    found = figures([(scores, clean), (scores, mixed)], Calibration(0.0, 1.0, 1.0))
    assert (found.kept, found.right, found.other_right) == (0.75, (0.5 + 1) / 2, 0.5)
    sure = [True, True, False, False, True, True, False, True]  # all eight are sure
    assert (found.sure, found.sure_right) == (1.0, np.mean(sure))


def test_names_of_several_folders_come_together(tmp_path: Path, sorted_already: Path) -> None:
    folder = tiny.immich(tmp_path / "model", logit_scale=20)
    (tmp_path / "More").mkdir()
    for name in ("cat", "red"):
        (sorted_already / name).rename(tmp_path / "More" / name)
    with pytest.raises(UserError, match="4 names or more; found 2"):
        run("calibrate", sorted_already, "--model", folder)
    told = run("calibrate", sorted_already, tmp_path / "More", "--model", folder)
    assert "60 pictures under 4 names" in told["source"]


def test_what_it_needs_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name folders of sorted pictures"):
        run("calibrate")
    with pytest.raises(UserError, match="doesn't exist"):
        run("calibrate", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("source", "origin", "now"),
    [
        ("generic: not calibrated for this model", "default", ""),
        ("the answers of starter on 300 pictures", "transferred", "starter on 300 pictures"),
        (
            "60 pictures under 4 names, 60 episodes",
            "measured",
            "60 pictures under 4 names, 60 episodes",
        ),
    ],
)
def test_calibrations_stored_by_0_1_0_still_open(
    tmp_path: Path, source: str, origin: str, now: str
) -> None:
    """Files as that version wrote them: five keys, the origin told by how `source` begins."""
    model = select.find(str(tiny.immich(tmp_path / "model", logit_scale=20)))
    old = {"delta": -0.5, "t_open": 2.0, "t_labels": 3.0, "typical": None, "source": source}
    calibrations.store(model, Calibration()).write_text(json.dumps(old))
    found = select.calibration(model)
    assert found == Calibration(-0.5, 2.0, 3.0, None, origin, now)  # type: ignore[arg-type]
    calibrations.store(model, found)
    assert select.calibration(model) == found


def test_a_models_own_settings_may_hold_its_calibration(tmp_path: Path) -> None:
    table = {"delta": 1.0, "t_open": 2.0, "t_labels": 3.0, "typical": 4.0, "source": "a set"}
    folder = tiny.immich(tmp_path / "model", logit_scale=20, open_set=table)
    found = select.calibration(select.find(str(folder)))
    assert found == Calibration(1.0, 2.0, 3.0, 4.0, "measured", "a set")
