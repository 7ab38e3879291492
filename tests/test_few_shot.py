"""Few-shot adaptation and active learning, on small synthetic clusters of vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.colours import COLOURS, ColourEncoder
from zeroshelf.corrections import active_learning, few_shot, stored
from zeroshelf.decisions.decide import Decisions
from zeroshelf.errors import UserError
from zeroshelf.labels import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import Calibration, Correction, Picture, Scores

optimize = pytest.importorskip("scipy.optimize", reason="SciPy, of the dev extra, is missing")


def unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def answered(probabilities: npt.NDArray[np.float64], scale: float = 20.0) -> Decisions:
    """Decisions with these probabilities, column K "other"."""
    count, columns = probabilities.shape
    names = [f"label {k}" for k in range(columns - 1)]
    empty = np.zeros((count, columns - 1), np.float32)
    scores = Scores(
        tuple(Picture(f"/{row}.jpg", "", 1, 1, 1) for row in range(count)),
        resolve(parse.parse(names), ColourEncoder().embed_texts),
        empty,
        empty[:, 0],
        np.zeros((count, 3), np.int32),
        ("a wall",),
        _with_scale(scale),
    )
    chosen = np.where(
        probabilities[:, -1] <= 0.5, probabilities[:, :-1].argmax(axis=1), columns - 1
    )
    return Decisions(
        scores, Calibration(), probabilities.astype(np.float32), chosen.astype(np.int32)
    )


def _with_scale(scale: float):
    from dataclasses import replace

    return replace(COLOURS, logit_scale=scale)


def blobs(
    seed: int = 0, each: int = 40, classes: int = 4, dim: int = 16
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp], Decisions]:
    """Clusters whose zero-shot direction is off by a good angle; (vectors, truth, decisions)."""
    random = np.random.default_rng(seed)
    centres = unit(random.standard_normal((classes, dim)))
    truth = np.repeat(np.arange(classes), each)
    vectors = unit(centres[truth] + 0.18 * random.standard_normal((len(truth), dim)))
    texts = unit(centres + 0.25 * random.standard_normal((classes, dim)))
    logits = 10.0 * vectors @ texts.T
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    on_shelf = odds / odds.sum(axis=1, keepdims=True)
    return vectors, truth, answered(np.column_stack((0.8 * on_shelf, np.full(len(truth), 0.2))))


def test_without_corrections_nothing_changes() -> None:
    vectors, _, decided = blobs()
    assert few_shot.adapt(vectors, decided, few_shot.Examples.of({})) is decided


def test_a_correction_is_followed_whatever_the_model_says() -> None:
    vectors, truth, decided = blobs()
    wrong = int((truth[0] + 1) % 4)
    adapted = few_shot.adapt(vectors, decided, few_shot.Examples.of({0: wrong, 1: 4}))
    assert adapted.labels[0] == f"label {wrong}" and adapted.labels[1] == "other"
    assert adapted.probabilities[0, wrong] == 1
    assert adapted[0].reason == f"put on label {wrong} by a correction"  # not what it "looks like"
    assert adapted[1].reason == "put on other by a correction"
    np.testing.assert_allclose(adapted.probabilities.sum(axis=1), 1, rtol=1e-5)


def test_corrections_on_one_cluster_bring_the_rest_of_it() -> None:
    """A cluster that lies on the wrong shelf follows four corrections to the right one."""
    random = np.random.default_rng(1)
    centres = np.eye(8)[:3]
    truth = np.repeat(np.arange(3), 30)
    vectors = unit(centres[truth] + 0.1 * random.standard_normal((90, 8)))
    said = np.where(truth == 2, 0, truth)  # the third cluster is taken for the first
    probabilities = np.full((90, 4), 0.05)
    probabilities[np.arange(90), said] = 0.85
    decided = answered(probabilities)
    adapted = few_shot.adapt(
        vectors, decided, few_shot.Examples.of(dict.fromkeys((60, 61, 62, 63), 2))
    )
    assert (adapted.chosen[60:] == 2).all()
    assert (adapted.chosen[:60] == truth[:60]).all()


def test_the_last_few_of_a_folder_follow_the_many_that_are_corrected() -> None:
    """Where nearly all is corrected, the few others move, though the model is sure of them."""
    vectors, truth, _ = blobs(dim=400)  # so many that any answer could be learnt by heart
    wrong = np.full((len(truth), 5), 0.02)
    wrong[np.arange(len(truth)), (truth + 1) % 4] = 0.92  # each cluster on the next one's shelf
    rows = np.flatnonzero(np.arange(len(truth)) % 10 > 0)
    adapted = few_shot.adapt(vectors, answered(wrong), few_shot.Examples(rows, truth[rows]))
    assert (adapted.chosen == truth).mean() > 0.95


def test_what_the_model_is_wrongly_sure_of_does_not_outweigh_corrections() -> None:
    """The model is surer of the first label for pictures of the third than for its own. All three
    have corrections."""
    right = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        truth = np.repeat(np.arange(3), 40)
        vectors = unit(np.eye(8)[truth] + 0.15 * random.standard_normal((120, 8)))
        probabilities = np.full((120, 4), 0.05)
        probabilities[np.arange(120), truth] = 0.85
        probabilities[80:] = [0.9, 0.03, 0.05, 0.02]
        rows = np.flatnonzero(np.arange(120) % 40 < 4)
        examples = few_shot.Examples(rows, truth[rows])
        adapted = few_shot.adapt(vectors, answered(probabilities), examples)
        right.append((adapted.chosen == truth).mean())
    assert np.mean(right) > 0.95


def test_pictures_in_other_follow_corrections_of_the_same_picture() -> None:
    """Copies of a corrected picture are no evidence for the shelf that the user took it from."""
    vectors = unit(np.vstack((np.tile([1.0, 0, 0], (8, 1)), np.tile([0, 1.0, 0], (8, 1)))))
    probabilities = np.tile([0.1, 0.1, 0.8], (16, 1))
    probabilities[:8] = [0.9, 0.05, 0.05]
    adapted = few_shot.adapt(
        vectors, answered(probabilities), few_shot.Examples.of({8: 1, 9: 1, 10: 1})
    )
    assert (adapted.chosen[8:] == 1).all() and (adapted.chosen[:8] == 0).all()


def test_labels_without_corrections_do_not_suffer() -> None:
    gains = []
    for seed in range(20):
        vectors, truth, decided = blobs(seed)
        rows = np.flatnonzero(truth < 2)[[0, 1, 2, 3, 40, 41, 42, 43]]
        adapted = few_shot.adapt(vectors, decided, few_shot.Examples(rows, truth[rows]))
        right = [(one.chosen == truth)[truth >= 2].mean() for one in (decided, adapted)]
        gains.append(right[1] - right[0])
    assert np.mean(gains) >= -0.01


@pytest.mark.parametrize("seed", range(5))
def test_the_minimum_is_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    count, dim, classes = 60, 12, 5
    features = 20 * unit(random.standard_normal((count, dim)))
    logits = random.standard_normal((count, classes)) * 3
    wanted = random.dirichlet(np.ones(classes), count)
    weights = random.uniform(0.2, 2, count)
    penalty = 2.0

    def loss(flat: npt.NDArray[np.float64]) -> float:
        w = flat.reshape(classes, dim)
        z = logits + features @ w.T
        top = z.max(axis=1, keepdims=True)
        cross = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0] - (wanted * z).sum(axis=1)
        return float(weights @ cross + penalty * (w**2).sum())

    best = optimize.minimize(loss, np.zeros(classes * dim), method="L-BFGS-B", tol=1e-12)
    ours = few_shot.minimise(features, logits, wanted, weights, penalty)
    assert loss(ours.ravel()) <= best.fun * (1 + 1e-5)


def test_corrections_of_another_folder_are_learnt_from() -> None:
    vectors, truth, decided = blobs(3)
    half = np.arange(len(truth)) % 2 == 0
    there = few_shot.ExternalExamples(vectors[half], decided.probabilities[half], truth[half])
    here = replace(
        decided, probabilities=decided.probabilities[~half], chosen=decided.chosen[~half]
    )
    adapted = few_shot.adapt(vectors[~half], here, few_shot.Examples.of({}), there)
    before = (here.chosen == truth[~half]).mean()
    assert before < 0.97 and (adapted.chosen == truth[~half]).mean() > before
    assert len(adapted.chosen) == (~half).sum()


def test_which_pictures_are_chosen_for_correction() -> None:
    """One of each cluster before any twice, the doubtful first, and no corrected picture again."""
    clusters = np.repeat(np.eye(6), 10, axis=0) + 0.01 * np.random.default_rng(0).random((60, 6))
    vectors = unit(clusters)
    probabilities = np.tile([0.6, 0.3, 0.1], (60, 1)).astype(np.float32)
    probabilities[30:] = [0.9, 0.05, 0.05]
    rows = active_learning.choose(vectors, probabilities, [], 6)
    assert sorted(row // 10 for row in rows) == list(range(6))
    assert {row // 10 for row in rows[:3]} == {0, 1, 2}  # where the model doubts
    again = active_learning.choose(vectors, probabilities, rows[:3], 3)
    assert {row // 10 for row in again} == {3, 4, 5}
    assert len(active_learning.choose(vectors, probabilities, range(58), 20)) == 2


def test_pictures_of_a_single_label_can_be_chosen() -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((5, 4)))
    assert len(active_learning.choose(vectors, np.full((5, 2), 0.5, np.float32), [], 3)) == 3


def test_corrections_are_read_as_they_were_written(tmp_path: Path) -> None:
    vector = np.array([1, 0, 0, 0], np.float16)
    known = {"aa": Correction("cat", vector), "bb": Correction("gone", vector)}
    path = str(tmp_path / "corrections.jsonl")
    stored.save(path, known, COLOURS)
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):  # as an editor may save it
        with open(path, encoding="ascii") as file:
            text = file.read()
        Path(path + ".edited").write_text(text, encoding=encoding)
        edited = stored.load(path + ".edited", parse.parse(["cat"]), COLOURS)
        assert edited.keys() == stored.load(path, parse.parse(["cat"]), COLOURS).keys()
    found = stored.load(path, parse.parse(["cat"]), COLOURS)
    assert list(found) == ["aa"] and found["aa"].label == "cat"
    np.testing.assert_array_equal(found["aa"].vector, vector)


def test_corrections_of_another_model_are_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "corrections.jsonl")
    stored.save(path, {"aa": Correction("cat", np.ones(4, np.float16))}, COLOURS)
    with pytest.raises(UserError, match="belong to the model colours"):
        from dataclasses import replace

        stored.load(path, parse.parse(["cat"]), replace(COLOURS, digest="another"))
    (tmp_path / "bad.jsonl").write_text('{"zeroshelf_marks": 1, "model": "colours"}\n{"x": 1}\n')
    with pytest.raises(UserError, match="line 2"):
        stored.load(str(tmp_path / "bad.jsonl"), parse.parse(["cat"]), COLOURS)
