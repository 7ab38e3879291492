"""A label or "other": an absolute score, a reason, and probabilities that add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.colours import COLOURS, ColourEncoder
from zeroshelf.decisions import decide as rule
from zeroshelf.decisions.constants import (
    LABEL_COUNT_PENALTY,
    MEAN_LOGIT_SHARE,
    NEIGHBOUR_WEIGHT,
)
from zeroshelf.decisions.decide import (
    Decisions,
    also,
    ambiguous,
    confidence,
    label_probabilities,
)
from zeroshelf.labels.parse import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import Calibration, Label, LabelSet, Picture, Scores, Smoothing

CALIBRATION = Calibration(-1.0, 1.0, 1.0, origin="measured", source="test")


def decide(
    scores: Scores,
    calibration: Calibration = CALIBRATION,
    *,
    threshold: float | None = None,
    offset: float = 0.0,
) -> Decisions:
    return rule.decide(scores, calibration, threshold=threshold, offset=offset)


def said(
    logits: list[list[float]],
    negative: list[float],
    labels: LabelSet | None = None,
    similar: float | None = None,
) -> Scores:
    """`similar`: the cosine of rows 0 and 1, which are then neighbours."""
    count = len(logits)
    pictures = tuple(Picture(f"/{at}", "PNG", 1, 0, 0) for at in range(count))
    made = Scores(
        pictures=pictures,
        resolved=resolve(
            labels or parse(["cat", "dog"][: len(logits[0])]), ColourEncoder().embed_texts
        ),
        logits=np.array(logits, np.float32),
        negative_score=np.array(negative, np.float32),
        nearest_negatives=np.tile(np.array([1, 0, 2], np.int32), (count, 1)),
        negative_names=("lion", "receipt", "harbour"),
        model=COLOURS,
    )
    if similar is None:
        return made
    smoothing = Smoothing(
        neighbours=np.array([[1], [0]], np.int32),
        cosines=np.full((2, 1), similar, np.float32),
        coordinates=np.array([[1], [-1]], np.float16),
    )
    return replace(made, smoothing=smoothing)


def test_the_threshold_is_where_probabilities_are_even() -> None:
    crowd = LABEL_COUNT_PENALTY * np.log(2)
    decisions = decide(said([[4.1 + crowd, 0], [3.9 + crowd, 0]], [5.0, 5.0]))
    assert [one.label for one in decisions] == ["cat", "other"]
    assert decisions.probabilities[:, -1] == pytest.approx([0.475, 0.525], abs=1e-3)


def test_rows_sum_to_one_and_one_label_works() -> None:
    rng = np.random.default_rng(1)
    many = decide(said(rng.normal(0, 30, (50, 2)).tolist(), rng.normal(0, 30, 50).tolist()))
    assert np.allclose(many.probabilities.sum(axis=1), 1, atol=1e-6)
    alone = decide(said([[9.0], [1.0]], [5.0, 5.0]))
    assert [one.label for one in alone] == ["cat", "other"]


def test_the_best_of_many_labels_must_be_better() -> None:
    """By as much as an unknown picture's best label gains from there being more."""
    one = decide(said([[4.5]], [5.0]))
    two = decide(said([[4.5 + LABEL_COUNT_PENALTY * np.log(2), 0.0]], [5.0]))
    assert one.probabilities[0, -1] == pytest.approx(two.probabilities[0, -1])


def test_what_is_near_to_every_text_is_not_held_against_a_picture() -> None:
    """Two pictures of one OOD score, the second near to all negative labels: it stays, as far
    as its model says what is typical; else as far as its folder does, which may lie anywhere."""
    scores = replace(
        said([[3.5, 0]] * 2, [5.0] * 2), mean_negative_logit=np.array([0, 4], np.float32)
    )
    known = replace(CALIBRATION, typical_logit=0.0)
    assert [one.label for one in decide(scores, known)] == ["other", "cat"]
    probabilities = decide(scores, known).probabilities
    d = np.log(probabilities[:, :2].sum(1) / probabilities[:, 2])
    assert d[1] - d[0] == pytest.approx(4 * MEAN_LOGIT_SHARE, abs=1e-4)  # the temperature is 1
    distinct = replace(
        scores, mean_negative_logit=np.array([0, -4], np.float32)
    )  # it is far from them: no matter
    p = decide(distinct, known).probabilities
    assert p[0] == pytest.approx(p[1])
    far = replace(
        scores, mean_negative_logit=np.array([-50, -46], np.float32)
    )  # a wide gap between the towers
    np.testing.assert_array_equal(decide(far).probabilities, decide(scores).probabilities)
    assert [one.label for one in decide(replace(scores, mean_negative_logit=None))] == [
        "other",
        "other",
    ]


def test_an_offset_sends_fewer_to_other() -> None:
    scores = said([[3.5, 0]], [5.0])
    assert decide(scores)[0].label == "other"
    assert decide(scores, offset=1.0)[0].label == "cat"


def test_a_threshold_asks_for_the_labels_own_probability() -> None:
    scores = said([[5.0, 4.9]], [4.0])
    assert decide(scores)[0].label == "cat"
    strict = decide(scores, threshold=0.8)[0]
    assert strict.label == "other"
    assert "threshold" not in decide(scores)[0].reason
    own = LabelSet((Label("cat", threshold=0.1), Label("dog")))
    assert decide(said([[5.0, 4.9]], [5.0], own), threshold=0.8)[0].label == "cat"


def test_pictures_that_look_alike_are_decided_together() -> None:
    alone = decide(said([[9.0, 0], [3.0, 0]], [5.0, 5.0]))
    assert [one.label for one in alone] == ["cat", "other"]
    together = decide(said([[9.0, 0], [3.0, 0]], [5.0, 5.0], similar=1.0))
    assert [one.label for one in together] == ["cat", "cat"]
    # the weighted mean, by hand; the one axis tells the two apart, so it changes next to nothing
    d = (
        (3.0 + NEIGHBOUR_WEIGHT * 9.0) / (1 + NEIGHBOUR_WEIGHT)
        - 5
        - LABEL_COUNT_PENALTY * np.log(2)
    )
    assert 1 - together.probabilities[1, -1] == pytest.approx(1 / (1 + np.exp(-(d + 1))), abs=1e-2)
    unlike = decide(said([[9.0, 0], [3.0, 0]], [5.0, 5.0], similar=-1.0))
    assert [one.label for one in unlike] == ["cat", "other"]


def test_reasons_are_sentences() -> None:
    decisions = decide(said([[0, -5], [9, 8.9], [9, 0], [4.6, 0]], [5.0, 5, 5, 5]))
    assert decisions[0].reason == "nearest label is cat, but it looks more like receipt"
    assert decisions[0].looks_like == "receipt"
    assert decisions[1].reason == "looks like cat, or like dog"
    assert decisions[2].reason == "looks like cat"
    assert decisions[2].looks_like is None
    assert decisions[2].confidence == "sure"
    strict = decide(said([[9, 8.9]], [5.0]), threshold=0.9)[0]
    assert strict.reason == "looks like cat, but the threshold asks for more"
    lax = decide(said([[0, -5]], [5.0]), threshold=0.0)[0]
    assert lax.reason == "looks more like receipt than cat, but the threshold asks for no more"
    crowd = decide(said([[5.0, 4.9]], [5.0]), threshold=0.5)[0]  # two fit, each less than "other"
    assert crowd.probability > crowd.top[0][1]
    assert crowd.reason == "could be cat or dog, but none of them is as likely as other"


def test_what_a_decision_tells() -> None:
    one = decide(said([[6.0, 5.0]], [5.0]))[0]
    assert one.top_label == one.label == "cat"
    assert one.probability == pytest.approx(dict(one.top)["cat"])
    assert one.margin == pytest.approx(one.probability - dict(one.top)["dog"])


def test_two_plausible_labels_are_ambiguous() -> None:
    decisions = decide(said([[9, 8.5], [9, 0], [0, 0]], [5.0, 5, 9]))
    assert ambiguous(decisions).tolist() == [True, False, False]
    alone = decide(said([[9.0], [0.0]], [5.0, 5]))
    assert ambiguous(alone).tolist() == [False, False]


def test_what_is_spread_over_many_labels_is_not_ambiguous() -> None:
    """The best of forty labels has less than a tenth, and the second about as much; and a second
    label that is three times less probable than the first is no second label."""
    forty = parse([f"label {at}" for at in range(40)])
    level = [9.0] * 40
    two = [9.0, 8.9, *[0.0] * 38]
    first = [9.0, 7.9, *[0.0] * 38]
    decisions = decide(said([level, two, first], [0.0] * 3, forty))
    assert [one.label for one in decisions] == ["label 0"] * 3
    assert decisions.probabilities[0, :-1].max() < 0.1
    assert ambiguous(decisions).tolist() == [False, True, False]


def test_a_closed_set_is_a_softmax_over_the_labels() -> None:
    scores = replace(said([[9, 8], [0, -9]], [0.0, 90]), has_rival=np.array([True, True]))
    decisions = rule.decide(scores, CALIBRATION, closed=True)
    assert decisions.probabilities[0].tolist() == pytest.approx([0.7311, 0.2689, 0], abs=1e-4)
    assert decisions.labels == ["cat", "cat"]
    assert decisions[1].confidence == "sure" and decisions[1].reason.endswith("most like cat")
    assert decisions[0].reason == "of these labels, most like cat"
    near = rule.decide(said([[9, 8.9]], [0.0]), CALIBRATION, closed=True)
    assert near[0].reason == "of these labels, most like cat or dog"


def test_several_shelves_are_asked_one_by_one() -> None:
    scores = said([[9, 9], [9, 0], [0, 0]], [5.0, 5, 5])
    on = label_probabilities(scores, CALIBRATION)
    assert (on >= 0.5).tolist() == [[True, True], [True, False], [False, False]]


@pytest.mark.parametrize(
    ("probability", "word"), [(0.95, "sure"), (0.9, "sure"), (0.7, "likely"), (0.5, "unsure")]
)
def test_confidence_in_words(probability: float, word: str) -> None:
    assert confidence(probability) == word


def test_what_fits_too_and_never_beside_other() -> None:
    decisions = decide(said([[9, 8.5], [9, 0], [0, 0]], [5.0, 5, 5]))
    assert also(decisions).tolist() == [[False, True], [False, False], [False, False]]


def test_no_shelf_gets_what_is_likelier_other() -> None:
    """Two labels share what speaks for a shelf: each is less likely than "other"."""
    decided = decide(said([[5.0, 4.9]], [5.0]))
    assert decided.probabilities[0, -1] < 0.5
    assert decided[0].label == "other"
    assert decided[0].probability == pytest.approx(float(decided.probabilities[0].max()))


def test_sure_only_where_no_sibling_comes_near() -> None:
    scores = replace(said([[9, 0], [9, 0]], [5.0, 5.0]), has_rival=np.array([False, True]))
    decided = decide(scores)
    assert [one.confidence for one in decided] == ["sure", "likely"]


def test_a_reason_names_nothing_that_is_only_spelled_like_the_label() -> None:
    scores = said([[0, -5]], [5.0])
    scores = replace(
        scores,
        negative_names=("catsup", "cathode", "fox"),
        nearest_negatives=np.array([[0, 1, 2]], np.int32),
    )
    assert decide(scores)[0].looks_like == "fox"
    assert "fox" in decide(scores)[0].reason
