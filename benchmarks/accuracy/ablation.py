"""What each rule is worth: python -m benchmarks.accuracy.ablation [--episodes 90]

Every row leaves one rule out. Top label: every label of a set at once, as one folder. The other
columns: episodes of each set, judged by a calibration that was made from the other sets under the
same rules.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.accuracy import episodes, sets
from benchmarks.accuracy.calibrate import SEED
from benchmarks.accuracy.episodes import Episode
from zeroshelf.decisions import calibrate, decide
from zeroshelf.decisions.constants import DRAWN_SHARE
from zeroshelf.decisions.drawn import Drawn, Floats
from zeroshelf.decisions.evaluate import harmonic_mean
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.labels import lexicon
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import PLAIN
from zeroshelf.labels.resolve import resolve
from zeroshelf.records import ResolvedLabel, Scores

Change = Callable[[ResolvedLabel], ResolvedLabel]

LABELS: dict[str, Change] = {
    "all rules": lambda one: one,
    "no definition, kind or commoner word": lambda one: replace(one, prompts=one.own_prompts),
    "no other ways to ask": lambda one: replace(one, other_ways=()),
    "not asked for together with other labels": lambda one: replace(
        one, other_ways=tuple(group for group in one.other_ways if group[0] in means(one))
    ),
    "other ways count in full": lambda one: replace(
        one, prompts=(*one.prompts, *one.other_ways), other_ways=()
    ),
    "what is shown as well counts against a label": lambda one: replace(one, also_shown=()),
}


def means(one: ResolvedLabel) -> tuple[str, ...]:
    found = lexicon.entry(one.phrase)
    return found.means if found else ()


SCORES: dict[str, Callable[[sets.Pool, Episode, Scores], Scores]] = {
    "no smoothing": lambda _pool, _episode, one: replace(one, smoothing=None),
    "beside a rival still sure": lambda _pool, _episode, one: replace(one, has_rival=None),
    "a drawing needs the score of a photograph": lambda pool, episode, one: replace(
        one, negative_score=one.negative_score + taken_off(pool, episode)
    ),
}


def taken_off(pool: sets.Pool, episode: Episode) -> Floats:
    """(N,): what each image's negative score is less because it is drawn."""
    drawn = Drawn(pool.texts, pool.model.logit_scale)
    return DRAWN_SHARE * drawn.logits(pool.vectors[episode.rows])


def scored(pool: sets.Pool, episode: Episode, change: Change) -> Scores:
    found = resolve(parse(episode.labels), pool.texts)
    changed = replace(found, each=tuple(change(one) for one in found.each))
    return score_vectors(pool.vectors[episode.rows], pool.model, changed, pool.texts)


def row(
    name: str, folders: list[tuple[Episode, Scores]], wholes: list[tuple[Episode, Scores]]
) -> str:
    top = []
    for episode, scores in wholes:
        logits = decide.ood_scores(scores, None)[1]
        top.append(100 * episode.right(logits.argmax(axis=1))[episode.inside].mean())
    means, kept, sure = [], [], []
    for left_out in sorted({episode.set for episode, _ in folders}):
        rest = [(s, e.truth(s.logits)) for e, s in folders if e.set != left_out]
        calibration = calibrate.calibrate(calibrate.episodes(rest), "")
        right_when_sure: list[bool] = []
        for episode, scores in folders:
            if episode.set != left_out:
                continue
            decided = decide.decide(scores, calibration)
            on, right = decided.chosen < len(episode.labels), episode.right(decided.chosen)
            inside = episode.inside
            words = [decide.confidence_of(decided, at) for at in range(len(decided))]
            right_when_sure += right[np.array(words) == "sure"].tolist()
            if inside.all():
                kept.append(on.mean())
            else:
                pair = float(right[inside].mean()), float((~on)[~inside].mean())
                means.append(harmonic_mean(*pair))
        sure.append(float(np.mean(right_when_sure)))
    figures = (*top, *(100 * np.array([np.mean(means), np.mean(kept), min(kept), min(sure)])))
    return f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="a model's id or folder; the starter without")
    parser.add_argument("--episodes", type=int, default=90)
    given = parser.parse_args()
    pool = sets.load(given.model, None)
    drawn = episodes.draw(pool, given.episodes, SEED)
    names = sorted({episode.set for episode in drawn})
    whole = [episodes.whole(pool, name) for name in names]
    columns = ("harmonic mean", "kept, clean folders", "least kept", "worst sure")
    print(f"| {' | '.join(('left out', *names, *columns))} |")
    print("|---" * (len(names) + 5) + "|")
    plain = []
    for episode in whole:
        labels = pool.texts([PLAIN.format(name) for name in episode.labels])
        best = (pool.vectors[episode.rows].astype(np.float32) @ labels.T).argmax(axis=1)
        plain.append(f"{100 * episode.right(best)[episode.inside].mean():.1f}")
    print(f"| all: one plain prompt | {' | '.join(plain)} | | | | |", flush=True)
    for name, change in LABELS.items():
        folders = [(one, scored(pool, one, change)) for one in drawn]
        wholes = [(one, scored(pool, one, change)) for one in whole]
        print(row(name, folders, wholes), flush=True)
        for later, after in SCORES.items() if name == "all rules" else ():
            print(
                row(
                    later,
                    [(one, after(pool, one, scores)) for one, scores in folders],
                    [(one, after(pool, one, scores)) for one, scores in wholes],
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
