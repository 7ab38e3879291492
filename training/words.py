"""Words: WordNet 3.0's nouns, and every way in which a label can be said.

WordNet's files come with Debian's wordnet-base (WordNet licence). The 1,000 ImageNet classes in the
order of the trunk's logits are WordNet synsets; their list comes with PyPI timm.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

WORDNET = Path("/usr/share/wordnet")
TEMPLATES = ("a photo of a {}", "{}", "a picture of the {}", "a {}", "a photo of {}.", "one {}")


@dataclass(frozen=True, slots=True)
class Synset:
    lemmas: tuple[str, ...]
    hypernyms: tuple[int, ...]
    gloss: str  # the definition without its examples


class WordNet:
    def __init__(self, folder: Path = WORDNET) -> None:
        self.synsets = dict(_synsets(folder / "data.noun"))
        self.senses: dict[str, list[int]] = {}  # lemma, lower case -> synsets, commonest first
        with (folder / "index.noun").open(encoding="utf-8") as lines:
            for line in lines:
                if not line.startswith(" "):
                    fields = line.split()
                    count = int(fields[2])
                    self.senses[fields[0].replace("_", " ")] = [int(f) for f in fields[-count:]]

    def above(self, offset: int) -> Iterator[int]:
        """The synset's hypernyms, nearest first, up to the root."""
        layer, seen = list(self.synsets[offset].hypernyms), set()
        while layer:
            yield from layer
            seen.update(layer)
            layer = [up for one in layer for up in self.synsets[one].hypernyms if up not in seen]

    def first(self, word: str) -> int | None:
        """The commonest sense of a word, or of its singular."""
        word = word.lower()
        for form in (word, word.removesuffix("s"), word.removesuffix("es")):
            if form in self.senses:
                return self.senses[form][0]
        return None


def _synsets(file: Path) -> Iterator[tuple[int, Synset]]:
    """The lines of data.noun, as wndb(5WN) describes them."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(" "):
                continue
            head, _, gloss = line.partition(" | ")
            fields = head.split()
            count = int(fields[3], 16)
            lemmas = tuple(fields[4 + 2 * i].replace("_", " ") for i in range(count))
            pointers = fields[5 + 2 * count :]
            hypernyms = tuple(
                int(pointers[i + 1])
                for i in range(0, len(pointers), 4)
                if pointers[i] in ("@", "@i")
            )
            yield int(fields[0]), Synset(lemmas, hypernyms, gloss.split('; "')[0].strip())


def imagenet_synsets() -> list[int]:
    """The offsets of the 1,000 classes, in the order of the logits."""
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps timm: it has the list of ImageNet's classes")
    file = Path(spec.origin).parent / "data/_info/imagenet_synsets.txt"
    return [int(line[1:]) for line in file.read_text().split()]


# Nothing is learned from "entity" or "whole": they are above everything.
TOO_BROAD = {
    "entity", "physical entity", "object", "whole", "abstraction", "matter", "artifact",
    "instrumentality", "unit", "physical object", "thing",
    "causal agent",
    "psychological feature", "organism", "living thing", "container", "device", "covering",
    "structure",
    "equipment", "implement", "vertebrate", "chordate", "placental",
}  # fmt: skip


def phrasings(label: str, offset: int | None, wordnet: WordNet) -> list[str]:
    """The ways to say a label: itself, its synonyms, "label, a kind of animal", its gloss."""
    said = [label]
    if offset is not None:
        synset = wordnet.synsets[offset]
        names = [lemma for lemma in synset.lemmas if lemma.lower() != label.lower()]
        above = hypernyms(offset, wordnet, 2)
        said += names + [f"{label}, a kind of {kind}" for kind in above] + [synset.gloss]
    return said


def hypernyms(offset: int, wordnet: WordNet, count: int) -> list[str]:
    """Names of the nearest hypernyms that say something."""
    names = (wordnet.synsets[up].lemmas[0] for up in wordnet.above(offset))
    return [name for name in names if name not in TOO_BROAD][:count]


def concept_texts(synsets: Iterable[int], wordnet: WordNet, depth: int = 4) -> list[list[str]]:
    """For each class the words that name it: its synonyms and its hypernyms' first names."""
    return [
        [*wordnet.synsets[offset].lemmas, *hypernyms(offset, wordnet, depth)] for offset in synsets
    ]
