"""WordNet 3.0's nouns: their senses, hypernyms, wholes, definitions, singulars and counts.

The file data/negative_labels/wordnet.tsv.gz has a line per synset: lexicographer file, lemmas, rows
of the hypernyms, rows of the wholes, gloss. "crane%3" is the fourth sense of "crane", and
"horse:152" occurs 152 times in SemCor. wordnet-lemmas.tsv.gz is an index of it, so that no process
has to make one: a line per lemma in lower case, sorted, with the rank, the row and SemCor's count
of each of its senses. benchmarks/accuracy/make_negative_labels.py makes both from WordNet's own
files; WordNet's licence is beside them.
"""

from __future__ import annotations

import gzip
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import TypeAlias

from zeroshelf.labels.negative_labels import FOLDER
from zeroshelf.records import Synset

# WordNet's categories ("lexicographer files") of senses that no picture shows.
INVISIBLE = {"act", "attribute", "cognition", "communication", "feeling", "motive", "possession",
             "process", "quantity", "relation", "state", "time"}  # fmt: skip
# The endings of a plural and of its singular, and irregular plurals.
_SUFFIXES = (("ies", "y"), ("ives", "ife"), ("ves", "f"), ("men", "man"), ("s", ""), ("ses", "s"),
             ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("oes", "o"))  # fmt: skip
_IRREGULAR = {"children": "child", "feet": "foot", "geese": "goose", "men": "man", "mice": "mouse",
              "oxen": "ox", "teeth": "tooth"}  # fmt: skip
# Plurals with a meaning of their own, though SemCor has the singular far more often.
_PLURALS = {"glasses", "shorts", "spectacles"}
PLURAL_SHARE = 1 / 3  # of the singular's count in SemCor: a plural of more has a meaning of its own
# Words before a plural that keep it one, because no article fits: "two dogs", "a box of shoes".
_JOINING = {"and", "at", "by", "for", "from", "in", "of", "on", "or", "to", "under", "with",
            "two", "three", "four", "five", "six", "many", "some"}  # fmt: skip


Sense: TypeAlias = tuple[int, int, int]  # rank from 0 on, row, SemCor's count
_NONE = ("", "", "")


class WordNet:
    """All noun synsets. A line is parsed when it is first needed, and what was looked up for a word
    is kept, because many labels look up the same words."""

    def __init__(self, text: str, index: Iterable[str] | None = None) -> None:
        """text: the lines of wordnet.tsv. index: those of wordnet-lemmas.tsv; None: made here."""
        self._lines = text.split("\n")
        self._index = [*(index_lines(text) if index is None else index)]
        self._found_senses: dict[str, list[Sense]] = {}  # lemma -> its senses; [] for no lemma
        self._synsets: dict[int, Synset] = {}
        self._above: dict[int, frozenset[int]] = {}
        self._words: dict[str, tuple[Synset, ...]] = {}  # word -> its senses
        self._singulars: dict[str, str] = {}

    def _senses_of(self, lemma: str) -> list[Sense]:
        if lemma not in self._found_senses:
            at = bisect_left(self._index, f"{lemma}\t")
            found, _, senses = self._index[at].partition("\t") if at < len(self._index) else _NONE
            self._found_senses[lemma] = [*map(_sense, senses.split())] if found == lemma else []
        return self._found_senses[lemma]

    @property
    def words(self) -> Collection[str]:
        """All nouns, in lower case."""
        return {line.partition("\t")[0] for line in self._index}

    def synset(self, row: int) -> Synset:
        if row not in self._synsets:
            lexname, lemmas, above, wholes, gloss = self._lines[row].split("\t")
            self._synsets[row] = Synset(
                row,
                lexname,
                tuple(lemma.partition(":")[0].partition("%")[0] for lemma in lemmas.split("|")),
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
        and None where it has none.

        WordNet has many plurals with a meaning of their own. They are meant where SemCor has that
        about as often as the singular ("stairs", "woods"); "rooms" are no suite.
        """
        own = word.lower()
        known = {form: self._senses_of(form) for form in forms(word)}
        counts = {form: max(one[2] for one in found) for form, found in known.items() if found}
        others = {form: count for form, count in counts.items() if form != own}
        if own in counts and (not others or own in _PLURALS or self._is_own(own, others)):
            return own
        return max(others, key=lambda form: (others[form], len(form)), default=None)

    def _is_own(self, plural: str, singulars: Mapping[str, int]) -> bool:
        """Whether the plural is meant in a sense of its own that can be seen, by the counts of what
        may be its singular."""
        senses = [(self.synset(row), count) for _, row, count in self._senses_of(plural)]
        common = [(one, count) for one, count in senses if plural in one.lemmas]  # no name, "Logos"
        seen = [count for one, count in common if one.lexname not in INVISIBLE]
        most = max(singulars.values())
        if max(count for _, count in senses) > most:
            return True
        return bool(seen) and (max(seen) >= most or max(seen) > PLURAL_SHARE * most)

    def count(self, word: str, row: int) -> int:
        """How many times SemCor, a text of 700,000 words, uses the word in the sense at `row`."""
        return next((count for _, at, count in self._found(word) if at == row), 0)

    def _found(self, word: str) -> list[Sense]:
        word = word.lower()
        return self._senses_of(word) or self._senses_of(self._lemma(word) or self.singular(word))

    def above(self, row: int) -> frozenset[int]:
        """The rows of all hypernyms of a synset, up to "entity", without its own."""
        if row not in self._above:
            direct = self.synset(row).above
            self._above[row] = frozenset(direct).union(*map(self.above, direct))
        return self._above[row]


def forms(word: str) -> list[str]:
    """The word in lower case, and what may be its singular, in WordNet or not."""
    word = word.lower()
    if word in _IRREGULAR:
        return [_IRREGULAR[word]]
    return [word, *(word.removesuffix(a) + b for a, b in _SUFFIXES if word.endswith(a))]


def index_lines(text: str) -> list[str]:
    """The lines of wordnet-lemmas.tsv for those of wordnet.tsv: "crane", a tab, "0:8103 1:9722:3".
    A tab sorts before all characters of lemmas, so that the lines are in the lemmas' order."""
    index: dict[str, list[str]] = {}
    for row, line in enumerate(filter(None, text.split("\n"))):
        for lemma in line.split("\t", 2)[1].lower().split("|"):
            word, _, count = lemma.partition(":")
            word, _, rank = word.partition("%")
            sense = f"{rank or 0}:{row}" + (f":{count}" if count else "")
            index.setdefault(word, []).append(sense)
    return sorted(f"{lemma}\t{' '.join(senses)}" for lemma, senses in index.items())


def _sense(written: str) -> Sense:
    rank, _, rest = written.partition(":")
    row, _, count = rest.partition(":")
    return int(rank), int(row), int(count or 0)


@cache
def wordnet() -> WordNet:
    """The one WordNet of the process; the first call reads the files."""
    text, index = (
        gzip.decompress((FOLDER / name).read_bytes()).decode()
        for name in ("wordnet.tsv.gz", "wordnet-lemmas.tsv.gz")
    )
    return WordNet(text, index.splitlines())
