"""How much the wording of a label matters: python -m benchmarks.accuracy.wording [--model DIR]

Every label is worded in five ways; the spread is the largest accuracy less the smallest, top-1 over
all classes of a development set, for the label in one prompt as the notebook did it, and for ours.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.accuracy import sets
from benchmarks.accuracy.episodes import JUNK
from benchmarks.accuracy.rules import NOWHERE
from zeroshelf.decisions import fit
from zeroshelf.labels import parse
from zeroshelf.records import Embeddings
from zeroshelf.scores import score
from zeroshelf.words.prompts import PLAIN

PARAPHRASES = ("{}", "a {}", "{}s", "picture of a {}", "the {}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="a model's id or folder; the starter without")
    pool = sets.load(parser.parse_args().model)
    print("| set | one prompt | spread | ours | spread |")
    print("|---|---|---|---|---|")
    for name in sorted({str(x) for x in pool.sets[pool.names != ""]} - {JUNK}):
        rows = np.flatnonzero(pool.sets == name)
        classes = sorted({str(x) for x in pool.names[rows]})
        truth = np.array([classes.index(x) for x in pool.names[rows]])
        vectors = pool.vectors[rows].astype(np.float32)
        embeddings = Embeddings((NOWHERE,) * len(rows), (b"",) * len(rows), vectors, (), pool.model)
        single, ours = [], []
        for paraphrase in PARAPHRASES:
            words = [paraphrase.format(one) for one in classes]
            one = vectors @ pool.texts([PLAIN.format(word) for word in words]).T
            single.append((one.argmax(axis=1) == truth).mean())
            _, logits = fit(score(embeddings, parse(words), pool.texts))
            ours.append((logits.argmax(axis=1) == truth).mean())
        print(
            f"| {name} | {100 * np.mean(single):.1f} | {100 * np.ptp(single):.1f} "
            f"| {100 * np.mean(ours):.1f} | {100 * np.ptp(ours):.1f} |"
        )


if __name__ == "__main__":
    main()
