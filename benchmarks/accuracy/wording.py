"""How much the wording of a label matters: python -m benchmarks.accuracy.wording [--model DIR]

Every label is worded in five ways, first by what stands around the word, then by drawing from what
WordNet calls the same ("coast", "seashore", "sea-coast"; Latin names among them). The spread is the
largest accuracy less the smallest, top-1 over all classes of a development set, for the label in
one prompt as the notebook did it, and for ours.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.accuracy import sets
from benchmarks.accuracy.episodes import JUNK
from zeroshelf.decisions.decide import ood_scores
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import PLAIN
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select

PARAPHRASES = ("{}", "a {}", "{}s", "an image showing the {}", "there is a {} in the picture")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="a model's id or folder; the starter without")
    pool = sets.load(parser.parse_args().model)
    print("| set | wordings | one prompt | spread | ours | spread |")
    print("|---|---|---|---|---|---|")
    for name in sorted({str(x) for x in pool.sets[pool.names != ""]} - {JUNK}):
        rows = np.flatnonzero((pool.sets == name) & (pool.names != ""))
        classes = sorted({str(x) for x in pool.names[rows]})
        around = [[frame.format(one) for one in classes] for frame in PARAPHRASES]
        for how, wordings in (("around the word", around), ("synonyms", drawn(classes, pool))):
            single, ours = np.array([right(pool, rows, words) for words in wordings]).T * 100
            print(
                f"| {name} | {how} | {single.mean():.1f} | {np.ptp(single):.1f} "
                f"| {ours.mean():.1f} | {np.ptp(ours):.1f} |"
            )


def right(pool: sets.Pool, rows: np.ndarray, words: Sequence[str]) -> tuple[float, float]:
    """Top-1 of one prompt and of ours; `words` are the classes', in the order of their names."""
    classes = sorted({str(x) for x in pool.names[rows]})
    true = np.array([[one in pool.true[row] for one in classes] for row in rows])
    vectors = pool.vectors[rows].astype(np.float32)
    one = vectors @ pool.texts([PLAIN.format(word) for word in words]).T
    scores = score_vectors(vectors, pool.model, resolve(parse(words), pool.texts), pool.texts)
    _, logits = ood_scores(scores, select.calibration(pool.model).typical_logit)
    each = np.arange(len(rows))
    return true[each, one.argmax(axis=1)].mean(), true[each, logits.argmax(axis=1)].mean()


def drawn(classes: Sequence[str], pool: sets.Pool) -> Iterable[list[str]]:
    """Five times a word of the sense of each class; none is drawn for two of them."""
    labels = parse(classes)
    meant = [one.words[0].sense for one in resolve(labels, pool.texts)]
    for seed in range(5):
        rng, words = np.random.default_rng(seed), list[str]()
        for label, one in zip(labels, meant, strict=True):
            free = [word for word in (label.name, *(one.lemmas if one else ()))
                    if word.lower() not in map(str.lower, words)]  # fmt: skip
            words.append(free[rng.integers(len(free))])
        yield words


if __name__ == "__main__":
    main()
