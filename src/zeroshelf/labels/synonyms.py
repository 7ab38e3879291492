"""The meant sense of a word -> commoner words for it, and texts that explain it.

"camelopard" becomes "giraffe" too: two words for the same thing should draw the same pictures. And
a model that never saw a word in training may have seen the words of its definition.
"""

from __future__ import annotations

from collections.abc import Set
from functools import cache

from zeroshelf.labels.negative_labels import negative_labels, scene_prompts
from zeroshelf.labels.senses import visible_senses
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import Synset

# In these categories any word may be a synonym: many of their common names are no negative labels.
_MANY_NAMES = {"animal", "food", "plant"}
UNAMBIGUOUS = 0.7  # least share of a word's uses that its sense has, so that no other is expected


def is_unambiguous(word: str, sense: Synset, above: frozenset[int]) -> bool:
    """Whether `word` is most unlikely to mean anything but `sense`: by the context `above` (rows of
    synsets, see `senses.context`), or by the counts of its senses in SemCor."""
    if above & wordnet().above(sense.row):
        return True
    counts = {one.row: 1 + wordnet().count(word, one.row) for one in wordnet().senses(word)}
    return counts.get(sense.row, 0) > UNAMBIGUOUS * sum(counts.values())


def commoner_words(word: str, sense: Synset, taken: Set[str]) -> tuple[str, ...]:
    """For a word that is not among the common ones, the words of `sense` that are commoner.

    WordNet lists the words of a sense by how common they are: those before `word` are returned,
    where `sense` is their own first sense too. `taken` are the words of the other labels, in lower
    case, and the user's negatives: they are left to those.
    """
    lemmas = [lemma.lower() for lemma in sense.lemmas]
    if word.lower() in _common_words() or word.lower() not in lemmas:
        return ()
    return tuple(
        other
        for other in lemmas[: lemmas.index(word.lower())]
        if (other in _common_words() or sense.lexname in _MANY_NAMES)
        and other not in taken
        and visible_senses(other)[0] == sense
    )


def glosses(word: str, sense: Synset, kind: str | None) -> tuple[str, ...]:
    """Texts that explain the word: its definition, and what it is a type of, by the label set's
    `kind` or else by WordNet."""
    types = [kind, *(wordnet().synset(row).lemmas[0] for row in sense.above)]
    typed = next((f"a photo of a {word}, a type of {one}." for one in types if one), "")
    return tuple(filter(None, (f"{word}: {sense.gloss}", typed)))


@cache
def _common_words() -> frozenset[str]:
    """The negative labels' nouns and the names of their scenes."""
    nouns = (one.name for one in negative_labels() if one.kind == "noun")
    return frozenset((*scene_prompts(), *nouns))
