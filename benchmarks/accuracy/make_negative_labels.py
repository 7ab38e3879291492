"""Make src/zeroshelf/data/negative_labels/{nouns,wordnet} from WordNet 3.0's files.

Run it again only when the selection of nouns should change: the text vectors that the shipped
models bring along then have to be recomputed too (make_texts.py).

    python -m benchmarks.accuracy.make_negative_labels /usr/share/wordnet

Debian's package wordnet-base installs the files there. Nothing but WordNet says which nouns are
everyday ones: a noun counts as common when many of WordNet's own definitions use it, when its sense
was often tagged in SemCor (cntlist.rev), and when it has many hyponyms. Everyday words that
dictionaries seldom use are listed in everyday.txt.
"""

from __future__ import annotations

import gzip
import math
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from zeroshelf.labels.wordnet import index_lines

FOLDER = Path(__file__).parents[2] / "src/zeroshelf/data/negative_labels"

# How many nouns of each of WordNet's lexicographer files, by the first sense of the noun.
QUOTA = {
    "animal": 620, "artifact": 1300, "body": 50, "food": 330, "object": 160, "person": 260,
    "phenomenon": 25, "plant": 260, "substance": 50, "act": 60, "event": 25, "group": 25,
}  # fmt: skip
LEXNAMES = [
    "adj",
    "adj",
    "adv",
    "Tops",
    "act",
    "animal",
    "artifact",
    "attribute",
    "body",
    "cognition",
    "communication",
    "event",
    "feeling",
    "food",
    "group",
    "location",
    "motive",
    "object",
    "person",
    "phenomenon",
    "plant",
    "possession",
    "process",
    "quantity",
    "relation",
    "shape",
    "state",
    "substance",
    "time",
]
GLOSS = 110  # characters of a definition that are kept


def read_synsets(folder: Path) -> dict[int, dict[str, Any]]:
    synsets = {}
    for line in (folder / "data.noun").open():
        if line.startswith(" "):
            continue
        head, _, gloss = line.partition(" | ")
        fields = head.split()
        words = int(fields[3], 16)
        at = 4 + 2 * words
        pointers = [
            (fields[i], int(fields[i + 1]))
            for i in range(at + 1, at + 1 + 4 * int(fields[at]), 4)
            if fields[i + 2] == "n"
        ]
        synsets[int(fields[0])] = {
            "lexname": LEXNAMES[int(fields[1])],
            "lemmas": [fields[4 + 2 * i].replace("_", " ") for i in range(words)],
            "above": [to for kind, to in pointers if kind in ("@", "@i")],
            "wholes": [to for kind, to in pointers if kind in ("#p", "#m", "#s")],
            "gloss": gloss.split('; "')[0].strip(),
        }
    return synsets


def _lemma(word: str, rank: int, often: Counter[tuple[str, int]]) -> str:
    """ "crane", "crane%3" for the fourth sense, "horse:152" where SemCor has it 152 times."""
    count = often[word.lower(), rank]
    return word + (f"%{rank}" if rank else "") + (f":{count}" if count else "")


def write_extract(
    synsets: dict[int, dict[str, Any]],
    senses: dict[str, list[int]],
    often: Counter[tuple[str, int]],
) -> None:
    order = {number: row for row, number in enumerate(sorted(synsets))}
    rank = {
        (lemma, number): at for lemma, found in senses.items() for at, number in enumerate(found)
    }
    lines = []
    for number in sorted(synsets):
        synset = synsets[number]
        lemmas = "|".join(
            _lemma(word, rank[word.lower(), number], often) for word in synset["lemmas"]
        )
        above = " ".join(str(order[x]) for x in synset["above"])
        wholes = " ".join(str(order[x]) for x in synset["wholes"])
        gloss = synset["gloss"][:GLOSS]
        lines.append("\t".join((synset["lexname"], lemmas, above, wholes, gloss)) + "\n")
    write_packed("wordnet.tsv.gz", lines)
    write_packed("wordnet-lemmas.tsv.gz", [f"{line}\n" for line in index_lines("".join(lines))])


def write_packed(name: str, lines: list[str]) -> None:
    with gzip.GzipFile(FOLDER / name, "wb", compresslevel=9, mtime=0) as file:
        file.write("".join(lines).encode())


def main(folder: Path) -> None:
    synsets = read_synsets(folder)
    senses: dict[str, list[int]] = {}
    for line in (folder / "index.noun").open():
        if not line.startswith(" "):
            fields = line.split()
            senses[fields[0].replace("_", " ")] = [int(x) for x in fields[-int(fields[2]) :]]
    tagged: Counter[str] = Counter()
    often: Counter[tuple[str, int]] = Counter()
    for line in (folder / "cntlist.rev").open():
        key, sense, count = line.split()
        lemma, _, rest = key.partition("%")
        if rest.startswith("1"):
            often[lemma.replace("_", " "), int(sense) - 1] += int(count)
        if rest.startswith("1") and sense == "1":
            tagged[lemma.replace("_", " ")] += int(count)
    used: Counter[str] = Counter()
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").open():
            words = re.findall("[a-z]+", line.partition(" | ")[2].lower())
            used.update(set(words) | {f"{a} {b}" for a, b in zip(words, words[1:])})  # noqa: B905, RUF007
    hyponyms = Counter(above for synset in synsets.values() for above in synset["above"])

    ranked = defaultdict(list)
    taken = set()
    for lemma, numbers in senses.items():
        synset = synsets[numbers[0]]
        written = next(word for word in synset["lemmas"] if word.lower() == lemma)
        if written != lemma or not re.fullmatch("[a-z][a-z' -]{2,}", lemma) or lemma.count(" ") > 1:
            continue
        common = (
            2 * math.log1p(used[lemma])
            + math.log1p(tagged[lemma])
            + 0.5 * math.log1p(hyponyms[numbers[0]])
        )
        ranked[synset["lexname"]].append((common, lemma, numbers[0]))
    nouns = []
    for lexname, quota in QUOTA.items():
        found = 0
        for _, lemma, number in sorted(ranked[lexname], key=lambda row: (-row[0], row[1])):
            if number not in taken and found < quota:
                taken.add(number)
                nouns.append(lemma)
                found += 1
    everyday = Path(__file__).with_name("everyday.txt").read_text().split("\n")
    nouns = sorted({*nouns, *(word for word in everyday if word)})
    (FOLDER / "nouns.txt").write_text("".join(f"{noun}\n" for noun in nouns))

    write_extract(synsets, senses, often)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
