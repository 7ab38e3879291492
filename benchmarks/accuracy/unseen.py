"""What words cost that the model never saw: python -m benchmarks.accuracy.unseen --cache CACHE

The starter's networks are trained again, four times, each time without another quarter of the words
of six training sets and without their pictures. Episodes over the development sets, and over the
pictures left out as further sets, are judged by the starter's own constants. CACHE is that of
`python -m training features`; torch is needed. What is trained again are networks on the frozen
trunk: fine-tuning it too takes a GPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.accuracy import episodes, rules, sets
from benchmarks.accuracy.__main__ import KEPT, Result, best_threshold, line
from training import recipe
from training.batches import Data, Settings
from training.data import TextCache, Words, assemble, concepts
from training.evaluate import UNSEEN, words_left_out
from training.heads import train
from training.index import Picture
from training.model import ImageHead, TextHead, WordHead
from training.words import WORDNET, WordNet
from zeroshelf.models import select
from zeroshelf.records import Encoder

FOLDS = 4
SEEDS = (0, 1)


def pool(encoder: Encoder, pictures: list[Picture], vectors: np.ndarray) -> sets.Pool:
    """(N, D) vectors of N pictures; those left out of training are sets of their own."""
    return sets.Pool(
        encoder.model,
        vectors.astype(np.float16),
        np.array([("" if one.split == "dev" else "unseen ") + one.set for one in pictures]),
        np.array([one.labels[0] if one.labels else "" for one in pictures]),
        tuple(" ".join(one.captions).lower() for one in pictures),
        tuple(frozenset(one.labels[:1]) for one in pictures),
        sets.remembered(encoder),
    )


def show(name: str, seen: list[rules.Seen]) -> None:
    right = [one.episode.right(rules.ours(one)[1]) for one in seen]
    inside = [one.episode.inside for one in seen]
    top1 = np.mean([a[b].mean() for a, b in zip(right, inside, strict=True)])
    print(f"\n{name}: {len(seen)} episodes, best label right {100 * top1:.1f}\n")
    print("| rule | AUROC | FPR95 | right of in-distribution | right of OOD | harmonic mean "
          "| kept, clean folders | regret |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    threshold = seen[0].calibration.ood_threshold
    for rule in ("max cosine", "ours"):
        results = []
        for one in seen:
            keep_by, label = rules.RULES[rule](one)
            results.append(Result(one.episode, keep_by, one.episode.right(label)))
        for kept, words in ((0.0, "best threshold"), (KEPT, "best threshold that keeps 95 %")):
            print(line(f"{rule}, {words}", results, _at(best_threshold(results, kept))))
        if rule == "ours":
            print(line("ours, the starter's threshold", results, _at(threshold)))


def _at(threshold: float) -> Callable[[Result], float]:
    return lambda _: threshold


def towers(
    heads: list[WordHead], data: Data, words: Words, texts: TextCache
) -> tuple[Callable[[Sequence[int]], torch.Tensor], Callable[[Sequence[str]], torch.Tensor]]:
    """The heads as functions of rows and of texts, on the cached plain features."""
    image_head = ImageHead(heads, recipe.SHARE).eval()
    text_head = TextHead(concepts(words, texts, recipe.TAU), recipe.SHARE)
    features, probabilities = data.views[0]

    def images(rows: Sequence[int]) -> torch.Tensor:
        with torch.no_grad():
            return image_head(features[rows], probabilities[rows].log())

    def prompts(said: Sequence[str]) -> torch.Tensor:
        with torch.no_grad():
            return text_head(texts(said))

    return images, prompts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--index", type=Path, action="append", help="index.jsonl; repeatable")
    parser.add_argument("--episodes", type=int, default=130, help="of each quarter")
    given = parser.parse_args()
    given.index = given.index or sorted(sets.SHARED.glob("index*.jsonl"))
    given.wordnet = WORDNET
    words, texts = Words(WordNet(WORDNET)), recipe.text_cache(given)
    pictures = recipe.read(given)[0]
    data = assemble(pictures, given.cache, (recipe.PLAIN,), words, texts)
    encoder = select.load(select.find("starter"))
    seen: list[rules.Seen] = []
    for fold in range(FOLDS):
        left_out = words_left_out(pictures, words.names, fold, FOLDS)
        heads = [train(data, Settings(), seed, left_out)[0] for seed in SEEDS]
        images, _ = towers(heads, data, words, texts)
        rows = [
            row
            for row, one in enumerate(pictures)
            if one.split == "dev" or (one.set in UNSEEN and left_out.intersection(one.labels[:1]))
        ]
        asked = pool(encoder, [pictures[row] for row in rows], images(rows).numpy())
        calibration = select.calibration(encoder.model)
        drawn = episodes.draw(asked, given.episodes, seed=fold)
        seen += [rules.see(asked, one, calibration) for one in drawn]
    unseen = [one.episode.set.startswith("unseen ") for one in seen]
    show("Development sets", [one for one, is_new in zip(seen, unseen, strict=True) if not is_new])
    show("Words left out", [one for one, is_new in zip(seen, unseen, strict=True) if is_new])


if __name__ == "__main__":
    main()
