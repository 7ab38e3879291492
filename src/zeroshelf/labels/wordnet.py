"""WordNet 3.0's nouns: their senses, hypernyms, wholes, definitions, singulars and counts.

The file data/negative_labels/wordnet.tsv.gz has a line per synset: lexicographer file, lemmas, rows
of the hypernyms, rows of the wholes, gloss. "crane%3" is the fourth sense of "crane", and
"horse:152" occurs 152 times in SemCor. benchmarks/accuracy/make_negative_labels.py makes the file
from WordNet's own; WordNet's licence is beside it.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Collection
from functools import cache, cached_property

from zeroshelf.labels.negative_labels import FOLDER
from zeroshelf.records import Synset

# The endings of a plural and of its singular, as in WordNet's "morphy", and irregular plurals.
_SUFFIXES = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("men", "man"), ("es", ""), ("s", ""))
_IRREGULAR = {"children": "child", "feet": "foot", "geese": "goose", "men": "man", "mice": "mouse",
              "oxen": "ox", "teeth": "tooth"}  # fmt: skip
# Words before a plural that keep it one, because no article fits: "two dogs", "a box of shoes".
_JOINING = {"and", "at", "by", "for", "from", "in", "of", "on", "or", "to", "under", "with",
            "two", "three", "four", "five", "six", "many", "some"}  # fmt: skip


class WordNet:
    """All noun synsets. A line is parsed when it is first needed, and what was looked up for a word
    is kept, because many labels look up the same words."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._synsets: dict[int, Synset] = {}
        self._above: dict[int, frozenset[int]] = {}
        self._words: dict[str, tuple[Synset, ...]] = {}  # word -> its senses
        self._singulars: dict[str, str] = {}

    @cached_property
    def _senses(self) -> dict[str, int | list[tuple[int, int, int]]]:
        """Lemma -> (rank, row, SemCor's count) of each sense. A lemma of one sense without a count
        has only the row, which halves the time that 117,000 lemmas take to index."""
        index: dict[str, int | list[tuple[int, int, int]]] = {}
        for row, line in enumerate(self._lines):
            for lemma in line.split("\t", 2)[1].lower().split("|"):
                if lemma not in index and "%" not in lemma and ":" not in lemma:
                    index[lemma] = row
                    continue
                word, _, count = lemma.partition(":")
                word, _, rank = word.partition("%")
                before = index.get(word, [])
                senses = [(0, before, 0)] if isinstance(before, int) else before
                index[word] = senses
                senses.append((int(rank or 0), row, int(count or 0)))
        return index

    def _senses_of(self, lemma: str) -> list[tuple[int, int, int]]:
        found = self._senses.get(lemma, [])
        return [(0, found, 0)] if isinstance(found, int) else found

    @property
    def words(self) -> Collection[str]:
        """All nouns, in lower case."""
        return self._senses.keys()

    def synset(self, row: int) -> Synset:
        if row not in self._synsets:
            lexname, lemmas, above, wholes, gloss = self._lines[row].split("\t")
            self._synsets[row] = Synset(
                row,
                lexname,
                tuple(re.split("[%:]", lemma)[0] for lemma in lemmas.split("|")),
                tuple(map(int, above.split())),
                tuple(map(int, wholes.split())),
                gloss,
            )
        return self._synsets[row]

    def senses(self, word: str) -> tuple[Synset, ...]:
        """The senses of a noun or of its plural, the commonest first; () for any other word."""
        if word not in self._words:
            self._words[word] = tuple(self.synset(row) for _, row, _ in sorted(self._found(word)))
        return self._words[word]

    def singular(self, words: str) -> str:
        """ "dogs" -> "dog", "tall buildings" -> "tall building". A singular, a plural that WordNet
        has as such ("glasses", "jeans") and an unknown word are returned unchanged.
        """
        if words not in self._singulars:
            self._singulars[words] = self._singular(words)
        return self._singulars[words]

    def _singular(self, words: str) -> str:
        best = self._lemma(words)
        if best is None:
            before, space, last = words.rpartition(" ")
            joined = not space or _JOINING.intersection(before.lower().split())
            return words if joined else f"{before} {self.singular(last)}"
        plural = best != words.lower() and any("plural)" in one.gloss for one in self.senses(best))
        return words if plural or best == words.lower() else best

    def _lemma(self, word: str) -> str | None:
        """The form of the word, itself or a singular, that WordNet has; the most common of several,
        and None where it has none."""
        forms = [form for form in _forms(word) if form in self._senses]
        ranks = [self._rank(form, itself=form == word.lower()) for form in forms]
        return forms[ranks.index(max(ranks))] if forms else None

    def _rank(self, form: str, *, itself: bool) -> tuple[bool, int, bool, int]:
        """The sort key of a form, the greatest is best: the word itself if SemCor uses it, then the
        most common form ("game", not "gam"), then the longest."""
        count = max(count for _, _, count in self._senses_of(form))
        return itself and count > 0, count, itself, len(form)

    def count(self, word: str, row: int) -> int:
        """How many times SemCor, a text of 700,000 words, uses the word in the sense at `row`."""
        return next((count for _, at, count in self._found(word) if at == row), 0)

    def _found(self, word: str) -> list[tuple[int, int, int]]:
        word = word.lower()
        if word in self._senses:
            return self._senses_of(word)
        return self._senses_of(self._lemma(word) or self.singular(word))

    def above(self, row: int) -> frozenset[int]:
        """The rows of all hypernyms of a synset, up to "entity", without its own."""
        if row not in self._above:
            direct = self.synset(row).above
            self._above[row] = frozenset(direct).union(*map(self.above, direct))
        return self._above[row]


def _forms(word: str) -> list[str]:
    """The word in lower case, and what may be its singular."""
    word = word.lower()
    if word in _IRREGULAR:
        return [_IRREGULAR[word]]
    return [word, *(word.removesuffix(a) + b for a, b in _SUFFIXES if word.endswith(a))]


@cache
def wordnet() -> WordNet:
    """The one WordNet of the process; the first call reads the file."""
    packed = (FOLDER / "wordnet.tsv.gz").read_bytes()
    return WordNet(gzip.decompress(packed).decode())
