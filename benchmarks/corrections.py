"""What corrections are worth: accuracy on the pictures that were not corrected.

    python -m benchmarks.corrections --data ../shared/data [--model ID] [--seeds 20]

`--data` has index.jsonl and pictures/ (see training/README.md); the development sets with at
least ten pictures a label are used, each alone and with the junk set as what belongs in "other".
Two figures each: `label` is right where the best label is right, "other" left out; `shelf` is right
where the picture is on the right shelf, "other" among them. Corrections are drawn `seeds` times.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zeroshelf.corrections import active_learning, few_shot
from zeroshelf.decisions import decide, scores
from zeroshelf.decisions.decide import Decisions
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images import scan
from zeroshelf.labels import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select
from zeroshelf.records import Encoder

LEAST = 10  # pictures a label, so that four corrections leave some to be judged by
JUNK = "junk"

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Set:
    name: str
    vectors: npt.NDArray[np.float16]
    decided: Decisions
    truth: npt.NDArray[np.intp]  # column of the right shelf

    @property
    def other(self) -> int:
        return int(self.decided.probabilities.shape[1]) - 1

    def right(self, decided: Decisions) -> tuple[Flags, Flags]:
        """Whether each picture has the right label, and the right shelf."""
        best = decided.probabilities[:, : self.other].argmax(axis=1)
        return best == self.truth, decided.chosen == self.truth

    def adapted(self, rows: npt.NDArray[np.intp]) -> Decisions:
        """The decisions after corrections of these rows, which are not judged themselves."""
        return few_shot.adapt(self.vectors, self.decided, few_shot.Examples(rows, self.truth[rows]))


def load(data: Path, encoder: Encoder, store: EmbeddingCache) -> list[Set]:
    sets: dict[str, dict[str, str]] = defaultdict(dict)  # set -> path -> label
    for line in (data / "index.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["split"] == "dev" and row["labels"]:
            sets[row["set"]][str(data / "pictures" / row["file"])] = row["labels"][0]
    junk = dict.fromkeys(sets.pop(JUNK), "other")
    made = []
    for name, pictures in sets.items():
        names = sorted(set(pictures.values()))
        if min(list(pictures.values()).count(label) for label in names) < LEAST:
            continue
        for title, truth in ((name, pictures), (f"{name} + junk", pictures | junk)):
            made.append(_set(title, truth, names, encoder, store))
    return made


def _set(
    name: str, truth: dict[str, str], names: list[str], encoder: Encoder, store: EmbeddingCache
) -> Set:
    with tempfile.TemporaryDirectory() as root:
        real = {}
        for number, path in enumerate(truth):
            link = os.path.join(root, f"{number:05}.jpg")
            os.link(path, link) if _same_disk(path, root) else Path(link).write_bytes(
                Path(path).read_bytes()
            )
            real[link] = truth[path]
        embedded = compute.embed(scan.scan(root), encoder, store)
    texts = compute.text_embedder(encoder, store)
    scored = scores.score(embedded, resolve(parse.parse(names), texts), texts)
    columns = {label: column for column, label in enumerate((*names, "other"))}
    right = np.array([columns[real[picture.path]] for picture in embedded.pictures], np.intp)
    return Set(
        name, embedded.vectors, decide.decide(scored, select.calibration(encoder.model)), right
    )


def _same_disk(path: str, root: str) -> bool:
    return os.stat(path).st_dev == os.stat(root).st_dev and os.access(path, os.W_OK)


def gains(one: Set, rows: npt.NDArray[np.intp], among: Flags) -> list[float]:
    """Points gained over zero-shot on the uncorrected pictures of `among`: label, shelf."""
    rest = among.copy()
    rest[rows] = False
    found: list[float] = []
    for before, after in zip(one.right(one.decided), one.right(one.adapted(rows)), strict=True):
        judged = rest & (one.truth < one.other) if not found else rest
        found.append(
            100 * float(after[judged].mean() - before[judged].mean()) if judged.any() else 0
        )
    return found


def corrections_a_label(sets: list[Set], seeds: int) -> None:
    print("\n## Corrections on every label: points over zero-shot (label / shelf), mean of seeds\n")
    counts = (1, 2, 4, 8)
    print(
        "| set | pictures | labels | zero-shot |", " | ".join(f"{n} a label" for n in counts), "|"
    )
    print("|---|---:|---:|---:|" + "---:|" * len(counts))
    means: list[list[list[float]]] = []
    for one in sets:
        everything = np.ones(len(one.truth), bool)
        on_shelf = one.truth < one.other
        before = [
            100 * float(right[judged].mean())
            for right, judged in zip(one.right(one.decided), (on_shelf, everything), strict=True)
        ]
        row = []
        for count in counts:
            drawn = [
                gains(one, _draw(one, range(one.other), count, seed), everything)
                for seed in range(seeds)
            ]
            row.append(np.mean(drawn, axis=0).tolist())
        means.append(row)
        cells = " | ".join(f"{label:+.1f} / {shelf:+.1f}" for label, shelf in row)
        print(
            f"| {one.name} | {len(one.truth)} | {one.other} | {before[0]:.1f} / {before[1]:.1f} "
            f"| {cells} |"
        )
    cells = " | ".join(f"{label:+.1f} / {shelf:+.1f}" for label, shelf in np.mean(means, axis=0))
    print(f"| **mean** | | | | {cells} |")


def untouched(sets: list[Set], seeds: int) -> None:
    """Four corrections on half of the labels, or on one: how do the others fare?"""
    print("\n## Four corrections on some labels only: points over zero-shot (label / shelf)\n")
    print("| set | half corrected: all | labels without | one corrected: all | labels without |")
    print("|---|---:|---:|---:|---:|")
    means = []
    for one in sets:
        row: list[list[float]] = []
        for some in (one.other // 2, 1):
            overall, without = [], []
            for seed in range(seeds):
                columns = np.random.default_rng(seed).permutation(one.other)[:some]
                rows = _draw(one, columns, 4, seed)
                overall.append(gains(one, rows, np.ones(len(one.truth), bool)))
                bare = ~np.isin(one.truth, columns) & (one.truth < one.other)
                without.append(gains(one, rows, bare))
            row += [np.mean(overall, axis=0).tolist(), np.mean(without, axis=0).tolist()]
        means.append(row)
        print(f"| {one.name} |", " | ".join(f"{a:+.1f} / {b:+.1f}" for a, b in row), "|")
    cells = " | ".join(f"{a:+.1f} / {b:+.1f}" for a, b in np.mean(means, axis=0))
    print(f"| **mean** | {cells} |")


def asked(sets: list[Set], seeds: int) -> None:
    """20 pictures that were asked about, against 20 and 35 at random, on 4/5 of each set."""
    print("\n## Asked or drawn at random: accuracy in percent (label / shelf)\n")
    print("| set | zero-shot | 20 at random | 35 at random | 20 asked |")
    print("|---|---:|---:|---:|---:|")
    means = []
    for one in sets:
        found: dict[str, list[list[float]]] = defaultdict(list)
        for seed in range(seeds):
            random = np.random.default_rng(seed)
            part = np.sort(random.permutation(len(one.truth))[: int(0.8 * len(one.truth))])
            small = _part(one, part)
            shuffled = random.permutation(len(part))
            probabilities = small.decided.probabilities
            for name, rows in {
                "zero": shuffled[:0],
                "20": shuffled[:20],
                "35": shuffled[:35],
                "asked": np.array(
                    active_learning.choose(small.vectors, probabilities, [], 20), np.intp
                ),
            }.items():
                rest = np.ones(len(part), bool)
                rest[rows] = False
                label, shelf = small.right(small.adapted(rows))
                on_shelf = rest & (small.truth < small.other)
                found[name].append([100 * label[on_shelf].mean(), 100 * shelf[rest].mean()])
        row = [np.mean(found[name], axis=0).tolist() for name in ("zero", "20", "35", "asked")]
        means.append(row)
        print(f"| {one.name} |", " | ".join(f"{a:.1f} / {b:.1f}" for a, b in row), "|")
    print("| **mean** |", " | ".join(f"{a:.1f} / {b:.1f}" for a, b in np.mean(means, axis=0)), "|")


def only_wrong(sets: list[Set], seeds: int) -> None:
    """What a user does who looks for errors: only pictures on a wrong shelf are corrected."""
    print("\n## Only wrong pictures corrected: points over zero-shot (label / shelf)\n")
    counts = (3, 10, 20)
    print("| set |", " | ".join(f"{count} wrong" for count in counts), "|")
    print("|---|" + "---:|" * len(counts))
    means = []
    for one in sets:
        wrong = np.flatnonzero(~one.right(one.decided)[1])
        row: list[list[float]] = []
        for count in counts:
            drawn = [
                np.random.default_rng(seed).permutation(wrong)[: min(count, 2 * len(wrong) // 3)]
                for seed in range(seeds)
            ]
            found = [gains(one, rows, np.ones(len(one.truth), bool)) for rows in drawn]
            row.append(np.mean(found, axis=0).tolist())
        means.append(row)
        print(f"| {one.name} |", " | ".join(f"{a:+.1f} / {b:+.1f}" for a, b in row), "|")
    cells = " | ".join(f"{a:+.1f} / {b:+.1f}" for a, b in np.mean(means, axis=0))
    print(f"| **mean** | {cells} |")


def most(sets: list[Set], seeds: int) -> None:
    """The most the embeddings can give: nine tenths corrected, for ours and a linear probe."""
    print("\n## Nine tenths corrected: points over zero-shot, by label\n")
    print("| set | ours | a linear probe |")
    print("|---|---:|---:|")
    means = []
    for one in sets:
        if one.name.endswith(JUNK):
            continue
        found = []
        for seed in range(seeds):
            rows = np.concatenate(
                [
                    mine[: round(0.9 * len(mine))]
                    for column in range(one.other)
                    for mine in [_draw(one, [column], len(one.truth), seed)]
                ]
            )
            rest = np.ones(len(one.truth), bool)
            rest[rows] = False
            before = one.right(one.decided)[0][rest].mean()
            probed = _probe(one, rows) == one.truth
            ours = one.right(one.adapted(rows))[0]
            found.append([100 * (x[rest].mean() - before) for x in (ours, probed)])
        means.append(np.mean(found, axis=0))
        print(f"| {one.name} | {means[-1][0]:+.1f} | {means[-1][1]:+.1f} |")
    ours, probe = np.mean(means, axis=0)
    print(f"| **mean** | {ours:+.1f} | {probe:+.1f} |")


def _probe(one: Set, rows: npt.NDArray[np.intp], penalty: float = 1.0) -> npt.NDArray[np.intp]:
    """Ridge regression of the labels on centred unit vectors, learnt from `rows` alone."""
    points = one.vectors.astype(np.float64)
    points -= points.mean(axis=0)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    known = points[rows]
    wanted = np.eye(one.other)[one.truth[rows]] - 1 / one.other
    square = known.T @ known + penalty * np.eye(known.shape[1])
    return np.asarray((points @ np.linalg.solve(square, known.T @ wanted)).argmax(axis=1))


def _draw(one: Set, columns: Any, count: int, seed: int) -> npt.NDArray[np.intp]:
    random = np.random.default_rng(seed)
    rows = [random.permutation(np.flatnonzero(one.truth == column))[:count] for column in columns]
    return np.concatenate(rows)


def _part(one: Set, rows: npt.NDArray[np.intp]) -> Set:
    known = one.decided
    decided = replace(known, probabilities=known.probabilities[rows], chosen=known.chosen[rows])
    return Set(one.name, one.vectors[rows], decided, one.truth[rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    encoder = select.load(select.find(given.model))
    with EmbeddingCache.open() as store:
        sets = load(given.data, encoder, store)
    print(f"Model {encoder.model.id}, {given.seeds} seeds.")
    corrections_a_label(sets, given.seeds)
    untouched(sets, given.seeds)
    only_wrong(sets, given.seeds)
    asked(sets, given.seeds)
    most(sets, given.seeds)


if __name__ == "__main__":
    main()
