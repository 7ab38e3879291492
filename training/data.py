"""The caches become what training and evaluation read: `Data` and `TextCache`."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from training.batches import Data, Phrasings
from training.index import Picture
from training.model import Concepts
from training.words import TEMPLATES, WordNet, concept_texts, imagenet_synsets, phrasings

View = tuple[torch.Tensor, torch.Tensor]  # features (N, 1280), class probabilities (N, 1000)
Encode = Callable[[Sequence[str]], np.ndarray]  # N texts -> (N, 384) unit rows


class TextCache:
    """Texts with their vectors, kept in <folder>/<name>.json and .npy. New texts are encoded."""

    def __init__(self, folder: Path, name: str, encode: Encode) -> None:
        self._files = folder / f"{name}.json", folder / f"{name}.npy"
        self._encode = encode
        self._rows: dict[str, int] = {}
        self.vectors = torch.empty(0, 384)
        if self._files[1].exists():
            self._rows = {t: i for i, t in enumerate(json.loads(self._files[0].read_text()))}
            self.vectors = torch.from_numpy(np.load(self._files[1]).astype(np.float32))

    def add(self, texts: Iterable[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if not new:
            return
        self._rows |= {text: len(self._rows) + at for at, text in enumerate(new)}
        self.vectors = torch.cat([self.vectors, torch.from_numpy(self._encode(new))])
        self._files[0].write_text(json.dumps(list(self._rows)))
        np.save(self._files[1], self.vectors.half().numpy())

    def row(self, text: str) -> int:
        return self._rows[text]

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """N texts -> (N, 384)"""
        self.add(texts)
        return self.vectors[[self._rows[text] for text in texts]]


class Words:
    """WordNet, the ImageNet classes and the labels' senses."""

    def __init__(self, wordnet: WordNet) -> None:
        self.wordnet = wordnet
        self.synsets = imagenet_synsets()
        self.names = [wordnet.synsets[offset].lemmas[0] for offset in self.synsets]
        self.concepts = concept_texts(self.synsets, wordnet)
        self._classes = dict(reversed(list(zip(self.names, self.synsets, strict=True))))

    def sense(self, label: str) -> int | None:
        """An ImageNet class where the label is one's name, else the commonest noun."""
        return self._classes.get(label) or self.wordnet.first(label)

    def said(self, label: str) -> tuple[list[list[str]], list[str], list[str]]:
        """Names in templates, hypernyms, gloss."""
        offset = self.sense(label)
        words = phrasings(label, offset, self.wordnet)
        hypernyms = [word for word in words if ", a kind of " in word]
        gloss = [] if offset is None else [self.wordnet.synsets[offset].gloss]
        names = [word for word in words if word not in (*hypernyms, *gloss)]
        templates = [TEMPLATES, *(random.Random(name).sample(TEMPLATES, 2) for name in names[1:])]
        return (
            [[t.format(name) for t in own] for name, own in zip(names, templates, strict=True)],
            hypernyms,
            gloss,
        )


def all_texts(pictures: Sequence[Picture], words: Words) -> list[str]:
    """Every text that training can meet."""
    texts = [text for names in words.concepts for text in names]
    labels = {label for picture in pictures for label in picture.labels} | set(words.names)
    for label in sorted(labels):
        names, hypernyms, gloss = words.said(label)
        texts += [text for own in names for text in own] + hypernyms + gloss
    return texts + [caption for picture in pictures for caption in picture.captions]


def assemble(
    pictures: Sequence[Picture], cache: Path, views: Sequence[str], words: Words, texts: TextCache
) -> Data:
    """`views`: the plain one first, which has every picture."""
    texts.add(all_texts(pictures, words))
    plain = read_view(pictures, cache / f"{views[0]}.npz")
    labels = {label for picture in pictures for label in picture.labels}
    return Data(
        pictures=pictures,
        views=[plain, *(read_view(pictures, cache / f"{view}.npz", plain) for view in views[1:])],
        texts=texts.vectors,
        captions={
            row: [texts.row(caption) for caption in picture.captions]
            for row, picture in enumerate(pictures)
            if picture.captions
        },
        labels={label: _rows(words, label, texts) for label in sorted(labels)},
        classes=class_vectors(words, texts),
    )


def read_view(pictures: Sequence[Picture], file: Path, missing: View | None = None) -> View:
    """In the order of `pictures`; a picture that the file lacks is taken from `missing`."""
    with np.load(file) as stored:
        features = torch.from_numpy(stored["features"].astype(np.float32))
        probabilities = torch.from_numpy(stored["logits"].astype(np.float32)).softmax(-1)
        at = {name: row for row, name in enumerate(stored["files"].tolist())}
    if missing is None:
        rows = torch.tensor([at[picture.file] for picture in pictures])
        return features[rows], probabilities[rows]
    held = torch.tensor([row for row, p in enumerate(pictures) if p.file in at])
    rows = torch.tensor([at[pictures[row].file] for row in held.tolist()])
    whole = missing[0].clone(), missing[1].clone()
    whole[0][held], whole[1][held] = features[rows], probabilities[rows]
    return whole


def class_vectors(words: Words, texts: TextCache) -> torch.Tensor:
    """(1000, 384): each class's name in the templates, averaged."""
    prompts = [template.format(name) for name in words.names for template in TEMPLATES]
    return normalize(texts(prompts).view(len(words.names), len(TEMPLATES), -1).mean(1), dim=-1)


def concepts(words: Words, texts: TextCache, tau: float) -> Concepts:
    names = sorted({name for own in words.concepts for name in own})
    at = {name: row for row, name in enumerate(names)}
    longest = max(map(len, words.concepts))
    members = [[at[n] for n in own] + [at[own[0]]] * (longest - len(own)) for own in words.concepts]
    return Concepts(texts(names), torch.tensor(members), tau)


def _rows(words: Words, label: str, texts: TextCache) -> Phrasings:
    names, hypernyms, gloss = words.said(label)
    return Phrasings(
        names=[[texts.row(text) for text in own] for own in names],
        hypernyms=[texts.row(text) for text in hypernyms],
        gloss=[texts.row(text) for text in gloss],
    )
