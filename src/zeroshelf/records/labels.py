"""The labels that the user gives, and what is looked up for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

OTHER = "other"  # the shelf of what fits no label


@dataclass(frozen=True, slots=True)
class Label:
    """One shelf. `name` is the label that the user wrote, and names the shelf's folder."""

    name: str
    words: tuple[str, ...] = ()  # synonyms and sub-labels that mean this shelf too
    prompts: tuple[str, ...] = ()  # whole sentences, used as they are
    threshold: float | None = None  # the least probability, if someone insists


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels of a run, and how they are asked for."""

    labels: tuple[Label, ...]
    kind: str | None = None  # "bird" in "a photo of a jay, a type of bird."
    templates: tuple[str, ...] = ()  # the user's own prompt templates, each with one "{}"
    negatives: tuple[str, ...] = ()  # "!cartoon": what belongs on no shelf
    language: str = "en"  # ISO 639-1, of the labels: which templates speak it

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """The label of each shelf, in their order."""
        return tuple(label.name for label in self.labels)


@dataclass(frozen=True, slots=True)
class Synset:
    """One sense of a noun in WordNet 3.0, with all words for it."""

    row: int  # its line in data/negative_labels/wordnet.tsv.gz
    lexname: str  # its category, WordNet's lexicographer file: "animal", "artifact", "act", ...
    lemmas: tuple[str, ...]  # the words, the commonest first
    above: tuple[int, ...]  # rows of the hypernyms: what it is a kind of
    wholes: tuple[int, ...]  # rows of what it is a part, a member or a substance of
    gloss: str  # the definition, cut at 110 characters


@dataclass(frozen=True, slots=True)
class ResolvedWord:
    """One word of a label, looked up."""

    text: str  # its dictionary form: without frame and article, in English in the singular
    sense: Synset | None  # the sense that is meant; None where WordNet has none that fits
    in_wordnet: bool  # whether WordNet has it as a noun, if only as a proper name


@dataclass(frozen=True, slots=True)
class ResolvedLabel:
    """A label with everything that is looked up for it, before any picture is scored."""

    label: Label
    phrase: str  # what its name asks for, as the user wrote it: "red pandas"
    phrase_senses: tuple[Synset, ...]  # all senses of its dictionary form, the commonest first
    words: tuple[ResolvedWord, ...]  # its name, then each of `label.words`
    context: frozenset[int]  # rows of the synsets that the shelf above it and the set's kind name
    synonyms: tuple[str, ...]  # commoner words for the name's sense, from WordNet
    glosses: tuple[str, ...]  # texts that explain the name's sense
    own_prompts: tuple[tuple[str, ...], ...]  # a group per word of the user's, and per own prompt
    prompts: tuple[tuple[str, ...], ...]  # those that are scored: with the synonyms and glosses
    other_ways: tuple[tuple[str, ...], ...] = ()  # further groups, by the lexicon of everyday words
    also_shown: tuple[str, ...] = ()  # words for what its pictures show as well (labels/lexicon.py)

    @property
    def name(self) -> str:
        return self.label.name


@dataclass(frozen=True, slots=True)
class ResolvedLabels:
    """A label set, resolved once for a run by labels/resolve.py; row i is label i of the set."""

    labels: LabelSet
    each: tuple[ResolvedLabel, ...]

    def __len__(self) -> int:
        return len(self.each)

    def __iter__(self) -> Iterator[ResolvedLabel]:
        return iter(self.each)
