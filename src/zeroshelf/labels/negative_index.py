"""The negative labels by the ways in which one is related to a label's word.

data/negative_labels/negatives-index.tsv.gz has the index ready made, because it takes a tenth of a
second to make: a line with a digest of the files that it was made from, then a line per key,
sorted: "above 1740", a tab, and the rows of `negative_labels()`. An index that was made from other
files is not used; benchmarks/accuracy/make_negative_index.py writes it anew.
"""

from __future__ import annotations

import gzip
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Literal, TypeAlias

from zeroshelf.labels.negative_labels import FOLDER, negative_labels
from zeroshelf.labels.senses import visible_senses
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import Synset
from zeroshelf.system import content_hash

FILE = "negatives-index.tsv.gz"
MADE_FROM = ("wordnet.tsv.gz", "wordnet-lemmas.tsv.gz")  # and the negative labels
GLOSS_WORDS = 5  # the first words of a definition, which tell what the thing is

# by the whole word; its head noun; a word of its definition's start; a synset that it means; any
# hypernym of that; what it is a part of
By: TypeAlias = Literal["word", "head", "gloss", "sense", "above", "whole"]


class NegativeIndex:
    """Rows of `negative_labels()` by key. A line is parsed when it is first needed."""

    def __init__(self, lines: Sequence[str]) -> None:
        """lines: as `index_lines` makes them."""
        self._lines = lines
        self._found: dict[str, frozenset[int]] = {}

    def rows(self, by: By, key: str | int) -> frozenset[int]:
        """The negative labels that have this key: a word in lower case, or a row of WordNet."""
        wanted = f"{by} {key}"
        if wanted not in self._found:
            at = bisect_left(self._lines, f"{wanted}\t")
            found, _, rows = self._lines[at].partition("\t") if at < len(self._lines) else [""] * 3
            same = found == wanted
            self._found[wanted] = frozenset(map(int, rows.split())) if same else frozenset()
        return self._found[wanted]

    def keys(self, by: By) -> list[str]:
        """All keys of one sort."""
        start = f"{by} "
        lines = (line for line in self._lines if line.startswith(start))
        return [line[len(start) :].partition("\t")[0] for line in lines]


@cache
def negative_index() -> NegativeIndex:
    """The one index of the process; the first call reads the file, or makes the index where the
    file was made from others."""
    path = FOLDER / FILE
    if path.is_file():
        first, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        if first == digest_line():
            return NegativeIndex(lines)
    return NegativeIndex(index_lines())


def digest_line() -> str:
    """Stands for the negative labels and the files that the index is made from."""
    names = repr([(one.kind, one.name) for one in negative_labels()])
    content = b"".join((names.encode(), *((FOLDER / name).read_bytes() for name in MADE_FROM)))
    return f"# {content_hash.of_bytes(content).hex()}"


def index_lines() -> list[str]:
    """The lines of the index, made from the negative labels and WordNet. A tab sorts before all
    characters of keys, so that the lines are in the keys' order."""
    found: dict[str, set[int]] = defaultdict(set)
    for row, negative in enumerate(negative_labels()):
        if negative.kind == "noun":
            _add_noun(found, row, negative.name)
            continue
        # "a sailing boat", "a dog playing": by every noun in it
        words = re.findall("[a-z]+", negative.name.lower())
        _add(found, row, "word", negative.name, *words)
        _add(found, row, "head", *words)
        for word in words:
            for one in visible_senses(word)[:1]:
                _add_sense(found, row, one)
    return sorted(f"{key}\t{' '.join(map(str, sorted(rows)))}" for key, rows in found.items())


def _add_noun(found: dict[str, set[int]], row: int, noun: str) -> None:
    _add(found, row, "word", noun)
    _add(found, row, "head", noun.rpartition(" ")[2])
    senses = visible_senses(noun)
    for one in senses[1:2]:  # "vessel" is first a container, then a boat
        _add(found, row, "sense", one.row)
    for one in senses[:1]:
        _add_sense(found, row, one)
        _add(found, row, "gloss", *re.findall("[a-z]+", one.gloss.lower())[:GLOSS_WORDS])
        _add(found, row, "whole", *one.wholes)


def _add_sense(found: dict[str, set[int]], row: int, one: Synset) -> None:
    _add(found, row, "sense", one.row)
    _add(found, row, "above", *wordnet().above(one.row))


def _add(found: dict[str, set[int]], row: int, by: By, *keys: str | int) -> None:
    for key in keys:
        found[f"{by} {key}"].add(row)
