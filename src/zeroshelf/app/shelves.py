"""A run -> what the page shows of each label and of "other". Pure, but for the texts that the label
check embeds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zeroshelf.decisions import decide, diagnose
from zeroshelf.decisions.constants import LIKELY
from zeroshelf.decisions.decide import Decisions
from zeroshelf.errors import UserError
from zeroshelf.labels import check
from zeroshelf.labels.advice import Advice
from zeroshelf.labels.negative_labels import negative_labels
from zeroshelf.labels.normalise import comparable, phrase
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.related_words import related_words
from zeroshelf.labels.senses import visible_senses
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import OTHER, Embeddings, ResolvedLabel, Synset
from zeroshelf.run.run import Run

ON_A_CARD = 12  # pictures of a shelf that are shown at once
SYNONYMS = 4  # words that are offered for a label
LOOKS_LIKE = 6  # names for what "other" shows


def cards(run: Run, texts: Texts) -> dict[str, Any]:
    """{"labels": one card a label, "other": the card of "other"}."""
    decisions = run.decisions
    problems = _problems(run, texts)
    nearest = _nearest_words(decisions)
    taken = {comparable(name) for name in run.labels.names}
    found = []
    for column, one in enumerate(decisions.scores.resolved):
        found.append(
            {
                "name": one.name,
                "words": list(one.label.words),
                **_card(run, column),
                "problem": problems.get(one.name),
                "synonyms": _synonyms(one, nearest[column], taken),
            }
        )
    to_add = [
        {"label": one.label, "words": list(one.words), "count": len(one.rows)}
        for one in diagnose.words_to_add(decisions)
    ]
    looks = diagnose.shelves_to_add(decisions, least=2)[:LOOKS_LIKE]
    other = _card(run, len(run.labels)) | {
        "name": OTHER,
        "looks_like": [{"name": name, "count": count} for name, count in looks],
        "to_add": to_add,
    }
    return {"labels": found, "other": other}


def shelf(run: Run, name: str, start: int, count: int) -> dict[str, Any]:
    """The pictures `start` to `start + count` of a shelf, the most probable first. Raises
    `UserError` if the run has no such shelf."""
    names = (*run.labels.names, OTHER)
    if name not in names:
        raise UserError(f"there is no shelf {name!r} any more")
    rows = _rows(run, names.index(name))
    shown = pictures(run.embeddings, rows[start : start + count], run.decisions)
    return {"name": name, "count": len(rows), "start": start, "pictures": shown}


def pictures(
    embeddings: Embeddings, rows: Iterable[int], decided: Decisions | None = None
) -> list[dict[str, str]]:
    """The pictures of these rows: digest, name, and how sure the decision is if there is one."""
    return [
        {
            "digest": embeddings.digests[row].hex(),
            "name": os.path.basename(embeddings.pictures[row].path),
            "confidence": "" if decided is None else decide.confidence_of(decided, int(row)),
        }
        for row in rows
    ]


def _card(run: Run, column: int) -> dict[str, Any]:
    rows = _rows(run, column)
    decided = run.decisions
    unsure = int((decided.probabilities[rows, column] < LIKELY).sum())
    return {
        "count": len(rows),
        "unsure": unsure,
        "pictures": pictures(run.embeddings, rows[:ON_A_CARD], decided),
    }


def _rows(run: Run, column: int) -> list[int]:
    """The rows on the shelf of a column, the most probable first."""
    decided = run.decisions
    rows = np.flatnonzero(decided.chosen == column)
    order = np.argsort(-decided.probabilities[rows, column], kind="stable")
    return [int(row) for row in rows[order]]


def _problems(run: Run, texts: Texts) -> dict[str, str]:
    """Label -> what is likely to go wrong with it: by the label check, else by what it got."""
    resolved, model = run.decisions.scores.resolved, run.model
    every: Sequence[Advice] = (
        *check.check(resolved, model, texts),
        *diagnose.diagnose(run.decisions),
    )
    found: dict[str, str] = {}
    for advice in every:
        beside = [name for name in advice.labels if name != advice.labels[0]]
        for name in advice.labels:
            pair = f"{advice.names}: {advice.problem}" if len(beside) == 1 else advice.problem
            found.setdefault(name, pair)
    return found


def _nearest_words(decisions: Decisions) -> list[Counter[int]]:
    """For each label: row of `negative_labels()` -> pictures in "other" whose best label it is, and
    of which that row is the nearest."""
    count, candidates = len(decisions.scores.labels), decisions.scores.candidates
    if candidates is None:
        return [Counter() for _ in range(count)]
    other = decisions.chosen == count
    best = decisions.probabilities[:, :count].argmax(axis=1)
    return [
        Counter(candidates.rows[other & (best == column), 0].tolist()) for column in range(count)
    ]


def _synonyms(one: ResolvedLabel, nearest: Counter[int], taken: set[str]) -> list[str]:
    """Words that the user may want to count as the label: what its pictures show and is a kind or a
    member of it, as a man and a woman are people. Those that most pictures in "other" look like
    come first, then those of the lexicon in its order."""
    every, sense = negative_labels(), one.words[0].sense
    if sense is None:
        return []
    own = taken | {comparable(word) for word in one.label.words}
    own |= {comparable(word.text) for word in one.words} | {comparable(w) for w in one.synonyms}
    shown = [comparable(word) for word in one.also_shown]
    ranked = []
    for row in related_words(one):
        name = phrase(every[row].name)
        known = comparable(name)
        place = shown.index(known) if known in shown else len(shown)
        if known in own or not (nearest[row] or place < len(shown)):
            continue
        if _is_kind_of(name, sense):
            ranked.append((-nearest[row], place, name))
    return list(dict.fromkeys(name for _, _, name in sorted(ranked)))[:SYNONYMS]


def _is_kind_of(word: str, sense: Synset) -> bool:
    """Whether a word first of all names a kind of what `sense` is; the members of a group are
    persons."""
    first = next(iter(visible_senses(word)), None)
    if first is None:
        return False
    below = sense.row in wordnet().above(first.row)
    return below or (sense.lexname, first.lexname) == ("group", "person")
