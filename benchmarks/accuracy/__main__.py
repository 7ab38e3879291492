"""What the rules do on episodes: python -m benchmarks.accuracy [--episodes 300] [--cells]

Every rule is shown with the best bar that one number for all episodes can be, and with the best of
those that keep 95 % of a folder without garbage. Ours ships with constants, made from the
development sets; so that the figures say what unseen pictures may expect, each of these sets'
episodes is judged by the constants that the other sets give (--shipped takes the model's own).
Pictures of yours (--pictures) are judged by the model's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy import calibrate, episodes, rules, sets
from benchmarks.accuracy.episodes import Episode
from zeroshelf.decisions import calibrate as calibration
from zeroshelf.decisions import decide
from zeroshelf.models import select

SEED = 7  # not calibrate's
KEPT = 0.95


@dataclass(frozen=True)
class Result:
    """One rule on one episode."""

    episode: Episode
    keep_by: np.ndarray
    right: np.ndarray

    def at(self, bar: float) -> tuple[float, float]:
        """Accuracy on kept, accuracy on garbage (nan without garbage)."""
        inside, kept = self.episode.truth >= 0, self.keep_by >= bar
        bad = ~inside
        return (
            float((self.right & kept)[inside].mean()),
            float((~kept)[bad].mean()) if bad.any() else float("nan"),
        )

    def harmonic(self, bar: float) -> float:
        return calibration.harmonic_mean(*self.at(bar))

    def kept(self, bar: float) -> float:
        return float((self.keep_by >= bar)[self.episode.truth >= 0].mean())

    @property
    def auroc(self) -> float:
        inside = self.episode.truth >= 0
        good, bad = np.sort(self.keep_by[inside]), self.keep_by[~inside]
        below = np.searchsorted(good, bad, side="left") + np.searchsorted(good, bad, side="right")
        return float(1 - below.mean() / 2 / len(good))

    @property
    def fpr95(self) -> float:
        """The share of garbage kept at the bar that keeps 95 % of the rest."""
        inside = self.episode.truth >= 0
        bar = np.quantile(self.keep_by[inside], 0.05)
        return float((self.keep_by[~inside] >= bar).mean())


def bars(results: list[Result]) -> np.ndarray:
    every = np.concatenate([one.keep_by for one in results])
    return np.asarray(np.quantile(every, np.linspace(0, 1, 101)))


def best_bar(results: list[Result], kept: float = 0.0) -> float:
    """The one bar with the best mean harmonic mean over the episodes with garbage, of those that
    keep a share of the episodes without."""
    mixed = [one for one in results if one.episode.share]
    clean = [one for one in results if not one.episode.share]
    able = [bar for bar in bars(results) if np.mean([one.kept(bar) for one in clean]) >= kept]
    return float(max(able, key=lambda bar: np.mean([one.harmonic(bar) for one in mixed])))


def line(name: str, results: list[Result], bar: Callable[[Result], float]) -> str:
    mixed = [one for one in results if one.episode.share]
    clean = [one for one in results if not one.episode.share]
    pairs = [one.at(bar(one)) for one in mixed]
    harmonic = np.mean([calibration.harmonic_mean(*pair) for pair in pairs])
    candidates = bars(mixed)
    best = np.mean([max(one.harmonic(b) for b in candidates) for one in mixed])
    figures = [
        np.mean([one.auroc for one in mixed]),
        np.mean([one.fpr95 for one in mixed]),
        np.mean([pair[0] for pair in pairs]),
        np.mean([pair[1] for pair in pairs]),
        harmonic,
        np.mean([one.kept(bar(one)) for one in clean]),
        best - harmonic,
    ]
    return f"| {name} | " + " | ".join(f"{100 * figure:.1f}" for figure in figures) + " |"


def percent(shares: list[float]) -> str:
    """Their mean; "-" where there are none."""
    return f"{100 * np.mean(shares):.1f}" if shares else "-"


def cells(results: list[Result], bar: Callable[[Result], float]) -> list[str]:
    lines = ["| garbage | 10 % | 30 % | 70 % | 95 % | AUROC |", "|---|---|---|---|---|---|"]
    for kind in episodes.KINDS:
        row: list[str] = []
        for share in episodes.SHARES[1:]:
            chosen = [x for x in results if (x.episode.kind, x.episode.share) == (kind, share)]
            row.append(percent([one.harmonic(bar(one)) for one in chosen]))
        of_kind = [x for x in results if x.episode.kind == kind and x.episode.share]
        row.append(percent([one.auroc for one in of_kind]))
        lines.append(f"| {kind} | " + " | ".join(row) + " |")
    for name in sorted({one.episode.set for one in results}):
        mine = [one for one in results if one.episode.set == name]
        mixed = [one for one in mine if one.episode.share]
        clean = [one for one in mine if not one.episode.share]
        lines.append(
            f"- {name}: harmonic mean {percent([x.harmonic(bar(x)) for x in mixed])}, "
            f"AUROC {percent([x.auroc for x in mixed])}, "
            f"kept without garbage {percent([x.kept(bar(x)) for x in clean])}"
        )
    return lines


def honesty(seen: list[rules.Seen]) -> list[str]:
    """Expected calibration error (15 bins) of the answers, and how often each word is right."""
    probability, right, words = [], [], []
    for one in seen:
        decided = decide.decide(one.scores, one.calibration)
        truth = np.where(one.episode.truth < 0, len(one.episode.labels), one.episode.truth)
        given = decided.probabilities[np.arange(len(truth)), decided.chosen]
        probability.append(given)
        right.append(decided.chosen == truth)
        words += [decide.confidence(float(p)) for p in given]
    p, r, w = np.concatenate(probability), np.concatenate(right), np.array(words)
    edges = np.minimum((p * 15).astype(int), 14)
    ece = sum(
        (edges == b).mean() * abs(p[edges == b].mean() - r[edges == b].mean())
        for b in np.unique(edges)
    )
    lines = [f"ECE {ece:.3f} over {len(p):,} answers, garbage included"]
    for word in ("sure", "likely", "unsure"):
        of = w == word
        lines.append(
            f"- {word}: {100 * of.mean():.0f} % of answers, {100 * r[of].mean():.1f} % right"
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
    print("| rule | AUROC | FPR95 | right of kept | right of garbage | harmonic mean "
          "| kept, no garbage | regret |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    results: list[Result] = []  # of the last rule, ours
    for name, rule in rules.RULES.items():
        results = []
        for one in seen:
            keep_by, label = rule(one)
            results.append(Result(one.episode, keep_by, label == one.episode.truth))
        if name == "max softmax":
            print(line("the notebook's: softmax > 0.6", results, lambda one: 0.6))
        for kept, words in ((0.0, "best bar"), (KEPT, "best bar that keeps 95 %")):
            bar = best_bar(results, kept)
            print(line(f"{name}, {words}", results, lambda one, bar=bar: bar))  # type: ignore[misc]
    shipped = {name: one.ood_threshold for name, one in constants.items()}
    print(line("**ours, shipped rule**", results, lambda one: shipped[one.episode.set]))
    print("\nHarmonic mean of ours by cell:\n")
    print("\n".join(cells(results, lambda one: shipped[one.episode.set])))
    print()
    print("\n".join(honesty(seen)))


if __name__ == "__main__":
    main()
