"""What the rules do on episodes: python -m benchmarks.accuracy [--episodes 300] [--cells]

Every rule is shown with the best single threshold for all episodes, and with the best of those that
keep 95 % of a clean folder. Ours ships with constants, made from the development sets; so that the
figures say what unseen pictures may expect, each of these sets' episodes is judged by the constants
that the other sets give (--shipped takes the model's own). Pictures of yours (--pictures) are
judged by the model's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy import calibrate, episodes, rules, sets
from benchmarks.accuracy.episodes import Episode
from zeroshelf.decisions import decide
from zeroshelf.decisions.evaluate import harmonic_mean
from zeroshelf.models import select
from zeroshelf.records import Calibration

SEED = 7  # not calibrate's
KEPT = 0.95


@dataclass(frozen=True)
class Result:
    """One rule on one episode."""

    episode: Episode
    keep_by: np.ndarray
    right: np.ndarray

    def at(self, threshold: float) -> tuple[float, float]:
        """Accuracy on kept, accuracy on OOD images (nan in clean folders)."""
        inside, kept = self.episode.inside, self.keep_by >= threshold
        bad = ~inside
        return (
            float((self.right & kept)[inside].mean()),
            float((~kept)[bad].mean()) if bad.any() else float("nan"),
        )

    def harmonic(self, threshold: float) -> float:
        return harmonic_mean(*self.at(threshold))

    def kept(self, threshold: float) -> float:
        return float((self.keep_by >= threshold)[self.episode.inside].mean())

    @property
    def auroc(self) -> float:
        inside = self.episode.inside
        good, bad = np.sort(self.keep_by[inside]), self.keep_by[~inside]
        below = np.searchsorted(good, bad, side="left") + np.searchsorted(good, bad, side="right")
        return float(1 - below.mean() / 2 / len(good))

    @property
    def fpr95(self) -> float:
        """The share of OOD images kept at the threshold that keeps 95 % of the rest."""
        inside = self.episode.inside
        threshold = np.quantile(self.keep_by[inside], 0.05)
        return float((self.keep_by[~inside] >= threshold).mean())


def thresholds(results: list[Result]) -> np.ndarray:
    every = np.concatenate([one.keep_by for one in results])
    return np.asarray(np.quantile(every, np.linspace(0, 1, 101)))


def best_threshold(results: list[Result], kept: float = 0.0) -> float:
    """The one threshold with the best mean harmonic mean over the episodes with OOD images, of
    those that keep a share of the episodes without."""
    mixed = [one for one in results if one.episode.share]
    clean = [one for one in results if not one.episode.share]
    able = [
        threshold
        for threshold in thresholds(results)
        if np.mean([one.kept(threshold) for one in clean]) >= kept
    ]
    return float(
        max(able, key=lambda threshold: np.mean([one.harmonic(threshold) for one in mixed]))
    )


def line(name: str, results: list[Result], threshold: Callable[[Result], float]) -> str:
    mixed = [one for one in results if one.episode.share]
    clean = [one for one in results if not one.episode.share]
    pairs = [one.at(threshold(one)) for one in mixed]
    harmonic = np.mean([harmonic_mean(*pair) for pair in pairs])
    candidates = thresholds(mixed)
    best = np.mean([max(one.harmonic(b) for b in candidates) for one in mixed])
    figures = [
        np.mean([one.auroc for one in mixed]),
        np.mean([one.fpr95 for one in mixed]),
        np.mean([pair[0] for pair in pairs]),
        np.mean([pair[1] for pair in pairs]),
        harmonic,
        np.mean([one.kept(threshold(one)) for one in clean]),
        best - harmonic,
    ]
    return f"| {name} | " + " | ".join(f"{100 * figure:.1f}" for figure in figures) + " |"


def percent(shares: list[float]) -> str:
    """Their mean; "-" where there are none."""
    return f"{100 * np.mean(shares):.1f}" if shares else "-"


def cells(results: list[Result], threshold: Callable[[Result], float]) -> list[str]:
    lines = ["| OOD images | 10 % | 30 % | 70 % | 95 % | AUROC |", "|---|---|---|---|---|---|"]
    for kind in episodes.KINDS:
        row: list[str] = []
        for share in episodes.SHARES[1:]:
            chosen = [x for x in results if (x.episode.kind, x.episode.share) == (kind, share)]
            row.append(percent([one.harmonic(threshold(one)) for one in chosen]))
        of_kind = [x for x in results if x.episode.kind == kind and x.episode.share]
        row.append(percent([one.auroc for one in of_kind]))
        lines.append(f"| {kind} | " + " | ".join(row) + " |")
    for name in sorted({one.episode.set for one in results}):
        mine = [one for one in results if one.episode.set == name]
        mixed = [one for one in mine if one.episode.share]
        clean = [one for one in mine if not one.episode.share]
        lines.append(
            f"- {name}: harmonic mean {percent([x.harmonic(threshold(x)) for x in mixed])}, "
            f"AUROC {percent([x.auroc for x in mixed])}, "
            f"kept in clean folders {percent([x.kept(threshold(x)) for x in clean])}"
        )
    return lines


@dataclass(frozen=True)
class Answers:
    """What was said of one set's pictures, OOD images included."""

    right: np.ndarray  # (M,) bool
    probability: np.ndarray  # (M,) of the answer
    words: np.ndarray  # (M,) of str: "sure", "likely", "unsure"

    @property
    def ece(self) -> float:
        """Expected calibration error, 15 bins."""
        p, r = self.probability, self.right
        edges = np.minimum((p * 15).astype(int), 14)
        return float(
            sum(
                (edges == b).mean() * abs(p[edges == b].mean() - r[edges == b].mean())
                for b in np.unique(edges)
            )
        )

    def said(self, word: str) -> str:
        """How often an answer with that word is right, and of how many answers."""
        of = self.words == word
        return f"{percent([self.right[of].mean()] if of.any() else [])} ({100 * of.mean():.0f})"


def answers(seen: list[rules.Seen]) -> Answers:
    right, probability, words = [], [], []
    for one in seen:
        decided = decide.decide(one.scores, one.calibration)
        probability.append(decided.probabilities[np.arange(len(decided)), decided.chosen])
        right.append(one.episode.right(decided.chosen))
        words.append([decide.confidence_of(decided, row) for row in range(len(decided))])
    return Answers(np.concatenate(right), np.concatenate(probability), np.concatenate(words))


SETS_HEAD = """| set | top label | plain prompt | kept, clean folders | least kept \
| right of in-distribution | right of OOD | AUROC \
| harmonic mean | ECE | sure right (% of answers) | likely | unsure |
|---|---|---|---|---|---|---|---|---|---|---|---|---|"""


def by_set(seen: list[rules.Seen]) -> list[str]:
    """A row for each set, judged by constants made without it, and the worst of each column."""
    lines: list[str] = []
    figures: list[list[float]] = []
    for name in sorted({one.episode.set for one in seen}):
        mine = [one for one in seen if one.episode.set == name]
        said = answers(mine)
        results, top, plain = [], [], []
        for one in mine:
            keep_by, label = rules.ours(one)
            results.append(Result(one.episode, keep_by, one.episode.right(label)))
            top.append(results[-1].right[one.episode.inside].mean())
            plain.append(one.episode.right(one.cosines.argmax(axis=1))[one.episode.inside].mean())
        clean, pairs = [], []
        for one in mine:
            chosen, inside = decide.decide(one.scores, one.calibration).chosen, one.episode.inside
            on, right = chosen < len(one.episode.labels), one.episode.right(chosen)
            if inside.all():
                clean.append(float(on.mean()))
            else:
                pairs.append((float(right[inside].mean()), float((~on)[~inside].mean())))
        row = [
            percent(top), percent(plain), percent(clean), percent([min(clean)] if clean else []),
            percent([pair[0] for pair in pairs]), percent([pair[1] for pair in pairs]),
            percent([one.auroc for one in results if one.episode.share]),
            percent([harmonic_mean(*pair) for pair in pairs]), f"{said.ece:.3f}",
            *(said.said(word) for word in ("sure", "likely", "unsure")),
        ]  # fmt: skip
        lines.append(f"| {name} | " + " | ".join(row) + " |")
        figures.append([float(x.split()[0]) if x[0] != "-" else np.nan for x in row])
    worst = [
        f"{np.nanmax(column):.3f}" if at == 8 else f"{np.nanmin(column):.1f}"
        for at, column in enumerate(np.array(figures).T)
    ]
    return [SETS_HEAD, *lines, "| **worst set** | " + " | ".join(worst) + " |"]


def whole(pool: sets.Pool, name: str, constants: Calibration) -> list[str]:
    """One set with all its labels at once, as a folder: the everyday set with the pictures of it
    that fit none; by label too where pictures have several."""
    episode = episodes.whole(pool, name)
    seen = rules.see(pool, episode, constants)
    decided = decide.decide(seen.scores, seen.calibration)
    inside, on = episode.inside, decided.chosen < len(episode.labels)
    top, right = episode.right(rules.ours(seen)[1]), episode.right(decided.chosen)
    said = answers([seen])
    plain = episode.right(seen.cosines.argmax(axis=1))[inside].mean()
    lines = [
        f"| {name} | {len(episode.labels)} | {100 * top[inside].mean():.1f} | {100 * plain:.1f} | "
        f"{100 * on[inside].mean():.1f} | {100 * (right & on)[inside].mean():.1f} | "
        f"{percent([(~on)[~inside].mean()] if not inside.all() else [])} | "
        + " | ".join(said.said(word) for word in ("sure", "likely", "unsure")) + " |"
    ]  # fmt: skip
    if (episode.true.sum(axis=1) > 1).any():
        for at, label in enumerate(episode.labels):
            fits = episode.true[:, at]
            mine = decided.chosen == at
            lines.append(
                f"- {label}: {fits.sum()} pictures, top label {100 * top[fits].mean():.0f}, right "
                f"{100 * right[fits].mean():.0f}, in other {100 * (~on)[fits].mean():.0f}; of "
                f"{mine.sum()} there {percent([fits[mine].mean()] if mine.any() else [])} right"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="a model's id or folder; the starter without")
    parser.add_argument("--pictures", type=Path, help=sets.LAYOUTS)
    parser.add_argument("--episodes", type=int, default=300)
    parser.add_argument("--shipped", action="store_true", help="the model's own constants")
    given = parser.parse_args()
    pool = sets.load(given.model, given.pictures)
    drawn = episodes.draw(pool, given.episodes, SEED)
    names = sorted({one.set for one in drawn})
    constants = dict.fromkeys(names, select.calibration(pool.model))
    if not (given.shipped or given.pictures):
        made = calibrate.asked(pool)
        constants = {name: calibrate.constants(made, without=name) for name in names}
    seen = [rules.see(pool, one, constants[one.set]) for one in drawn]
    print(f"{len(seen)} episodes, model {pool.model.id} {pool.model.digest[:8]}\n")
    print("| rule | AUROC | FPR95 | right of in-distribution | right of OOD | harmonic mean "
          "| kept, clean folders | regret |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    results: list[Result] = []  # of the last rule, ours
    for name, rule in rules.RULES.items():
        results = []
        for one in seen:
            keep_by, label = rule(one)
            results.append(Result(one.episode, keep_by, one.episode.right(label)))
        if name == "max softmax":
            print(line("the notebook's: softmax > 0.6", results, lambda one: 0.6))
        for kept, words in ((0.0, "best threshold"), (KEPT, "best threshold that keeps 95 %")):
            threshold = best_threshold(results, kept)
            print(line(f"{name}, {words}", results, lambda one, threshold=threshold: threshold))  # type: ignore[misc]
    shipped = {name: one.ood_threshold for name, one in constants.items()}
    print(line("**ours, shipped rule**", results, lambda one: shipped[one.episode.set]))
    print("\nHarmonic mean of ours by cell:\n")
    print("\n".join(cells(results, lambda one: shipped[one.episode.set])))
    print()
    print("By set, each judged by constants made without it:\n")
    print("\n".join(by_set(seen)))
    print(
        "\nEvery label of a set at once (top label, plain prompt's, kept, right, unknowns right):\n"
    )
    rows = [whole(pool, name, constants[name]) for name in names]
    print("\n".join(row[0] for row in rows))
    print("\n".join(line for row in rows for line in row[1:]))


if __name__ == "__main__":
    main()
