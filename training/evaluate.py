"""Figures on the development sets: never trained on, and the only ones that are chosen by."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch

from training.index import Picture
from training.translations import LABELS, PROMPTS

Images = Callable[[Sequence[int]], torch.Tensor]  # rows of the index -> (N, D) unit rows
Texts = Callable[[Sequence[str]], torch.Tensor]  # N texts -> (N, D) unit rows

PROMPT = "a photo of a {}"
OTHER = "other"  # the label of a picture that fits none of its set's
# Sets that share things with many others are no "other" to them, nor are theirs.
MIXED = ("everyday", "drawings")
PHOTOGRAPHS = ("pacs-photo", "animals", "tiny32")  # share things, so they are no "other" to another
UNSEEN = ("words", "objects", "food101", "miniplaces", "instruments", "grocery")


def evaluate(pictures: Sequence[Picture], images: Images, texts: Texts) -> dict[str, float]:
    """Percent: top-1 of every labelled set, recall from caption to picture, AUROC of "other"."""
    sets: dict[str, list[int]] = defaultdict(list)
    for row, picture in enumerate(pictures):
        if picture.split == "dev":
            sets[picture.set].append(row)
    figures, vectors, prompts = {}, {}, {}
    for name, rows in sorted(sets.items()):
        vectors[name] = images(rows)
        if all(pictures[row].labels for row in rows):
            labels = sorted({label for row in rows for label in pictures[row].labels} - {OTHER})
            prompts[name] = texts([PROMPT.format(label) for label in labels])
            named = [at for at, row in enumerate(rows) if pictures[row].labels[0] != OTHER]
            kept, vectors[name] = [rows[at] for at in named], vectors[name][named]
            figures[name] = top1(pictures, kept, labels, vectors[name], prompts[name])
        else:
            figures |= recall(pictures, rows, vectors[name], texts, name)
    pairs = [
        auroc(_best(vectors[inside], prompts[inside]), _best(vectors[outside], prompts[inside]))
        for inside in prompts
        for outside in prompts
        if inside not in (outside, "junk", *MIXED)
        and outside not in MIXED
        and not (inside in PHOTOGRAPHS and outside in PHOTOGRAPHS)
    ]
    return figures | ({"other (AUROC)": 100 * float(np.mean(pairs))} if pairs else {})


def by_exposure(
    pictures: Sequence[Picture], images: Images, texts: Texts, known: set[str]
) -> dict[str, float]:
    """Top-1 of the labelled sets, apart for pictures whose label is among `known` (in small
    letters, a label of training pictures or an ImageNet class) and for the others."""
    figures = {}
    low = {label.lower() for label in known}
    for name in sorted({one.set for one in pictures if one.split == "dev" and one.labels}):
        rows = [r for r, p in enumerate(pictures) if p.set == name and p.split == "dev"]
        labels = sorted({label for row in rows for label in pictures[row].labels} - {OTHER})
        prompts = texts([PROMPT.format(label) for label in labels])
        for seen, words in ((True, "seen"), (False, "unseen")):
            mine = [
                row
                for row in rows
                if pictures[row].labels[0] != OTHER
                and (pictures[row].labels[0].lower() in low) == seen
            ]
            if mine:
                asked = len({pictures[row].labels[0] for row in mine})
                right = top1(pictures, mine, labels, images(mine), prompts)
                figures[f"{name}, {asked} {words} words"] = right
    return figures


def by_language(
    pictures: Sequence[Picture], images: Images, texts: Texts, languages: Sequence[str]
) -> dict[str, float]:
    """Top-1 of the translated sets, each language with its own labels and prompt."""
    figures = {}
    for name in ("scenes15", "pacs-photo"):
        rows = [row for row, p in enumerate(pictures) if p.set == name and p.split == "dev"]
        labels = sorted({pictures[row].labels[0] for row in rows})
        vectors = images(rows)
        for language in languages:
            said = [LABELS[label].get(language, label) for label in labels]
            prompts = texts([PROMPTS[language].format(word) for word in said])
            figures[f"{name} {language}"] = top1(pictures, rows, labels, vectors, prompts)
    return figures


def top1(
    pictures: Sequence[Picture],
    rows: Sequence[int],
    labels: Sequence[str],
    vectors: torch.Tensor,
    prompts: torch.Tensor,
) -> float:
    """A picture is right where its best label is any of its own."""
    best = (vectors @ prompts.T).argmax(1).tolist()
    right = [labels[at] in pictures[row].labels for at, row in zip(best, rows, strict=True)]
    return 100 * float(np.mean(right))


def recall(
    pictures: Sequence[Picture], rows: Sequence[int], vectors: torch.Tensor, texts: Texts, name: str
) -> dict[str, float]:
    """Every caption asks for its picture among all pictures of the set."""
    captions = [(at, text) for at, row in enumerate(rows) for text in pictures[row].captions]
    truth = torch.tensor([at for at, _ in captions])
    cosines = texts([text for _, text in captions]) @ vectors.T
    rank = (cosines > cosines.gather(1, truth[:, None])).sum(1)
    return {f"{name} R@{k}": 100 * (rank < k).float().mean().item() for k in (1, 10)}


def auroc(inside: torch.Tensor, outside: torch.Tensor) -> float:
    """The chance that a picture from inside scores higher than one from outside (Mann-Whitney)."""
    ranks = torch.cat([inside, outside]).argsort().argsort().double() + 1
    n, m = len(inside), len(outside)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def _best(vectors: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
    """Each picture's greatest cosine."""
    return (vectors @ prompts.T).amax(1)


def words_left_out(
    pictures: Sequence[Picture], known: Sequence[str], fold: int, folds: int = 4
) -> frozenset[str]:
    """A quarter of the labels of `UNSEEN` that are no ImageNet class, by a hash of the word."""
    names = {name.lower() for name in known}
    labels = {p.labels[0] for p in pictures if p.set in UNSEEN and p.split == "train"}
    return frozenset(
        label
        for label in labels
        if label.lower() not in names and zlib.crc32(label.encode()) % folds == fold
    )


def unseen(
    pictures: Sequence[Picture], left_out: frozenset[str], images: Images, texts: Texts
) -> dict[str, float]:
    """Top-1 among the labels left out of training, per set, and their mean."""
    figures = {}
    for name in UNSEEN:
        rows = [r for r, p in enumerate(pictures) if p.set == name and p.labels[0] in left_out]
        labels = sorted({pictures[row].labels[0] for row in rows})
        if len(labels) >= 5:
            prompts = texts([PROMPT.format(label) for label in labels])
            figures[f"{name} ({len(labels)})"] = top1(pictures, rows, labels, images(rows), prompts)
    return figures | {"mean": float(np.mean(list(figures.values())))} if figures else {}
