"""A folder without labels -> proposed labels: groups of similar pictures, each with a name.

The vectors are centred, projected by PCA, and clustered by k-means for several k, of which the best
by silhouette is taken (Rousseeuw 1987). A group is named by the negative label whose mean cosine in
the group exceeds its mean in the folder by most standard deviations, everyday words a little
preferred; by one of the best five that is a hypernym of the other four; and "mixed" where no name
stands out. A name that the model gives a low probability is a guess: another of the best five takes
its place where the model is clear about that one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from zeroshelf.labels import lexicon
from zeroshelf.labels.negative_labels import negative_labels, scene_prompts
from zeroshelf.labels.prompts import Texts
from zeroshelf.labels.senses import visible_senses
from zeroshelf.labels.wordnet import wordnet
from zeroshelf.records import Embeddings, Label, LabelSet, NegativeRows

SIZES = (2, 3, 4, 6, 8, 12, 16, 24)  # numbers of groups that are tried
DIMENSIONS = 50  # of the PCA
LEAST = 3  # pictures in a group, at least
COHERENT = 0.4  # least correlation between being in the group and fitting its name
# Added to the standard deviations of a name: for each factor e of its count in SemCor,
COMMON = 0.05
EVERYDAY = 0.2  # where it is a short name of a scene ("living room"),
LEXICON = 0.6  # and where it is an everyday label of the lexicon: "cat", where "panther" is close
SAMPLE = 1500  # pictures that the silhouette is computed of
EXAMPLES = 4  # pictures of a group that are shown
CANDIDATES = 5  # best names of a group, from which its name is chosen
GUESS = 0.1  # probability below which a name is a guess
CLEAR = 0.2  # and from which another of the best names is taken instead of a guess

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Candidate = tuple[str, str, float]  # a name, its prompt, the standard deviations added to it


@dataclass(frozen=True, slots=True)
class Shelf:
    """A group of pictures, proposed as a shelf."""

    name: str
    rows: tuple[int, ...]  # of the embeddings, the most typical first
    words: tuple[str, ...]  # what else the group looks like
    probability: float = 1.0  # of the name among all names, for the mean of the group

    @property
    def is_guess(self) -> bool:
        """Whether the name is a guess: the user had better look at the pictures and name them."""
        return self.name != "mixed" and self.probability < GUESS

    @property
    def examples(self) -> tuple[int, ...]:
        """The rows of the most typical pictures."""
        return self.rows[:EXAMPLES]


def suggest(
    embeddings: Embeddings,
    texts: Texts,
    *,
    count: int | None = None,
    once: Sequence[Sequence[int]] = (),
    negatives: NegativeRows | None = None,
) -> tuple[Shelf, ...]:
    """Propose shelves, the fullest first, "mixed" last; () where there are fewer than `LEAST`
    pictures.

    texts: embeds the candidate names.
    count: how many groups are made; None: the best number.
    once: groups of rows that are near-duplicates and count as one picture each.
    negatives: the negative labels that a name is taken from, so that a large model embeds few texts
        (decisions/likely_negatives.py); None: all.

    Groups that get the same name are one shelf. The same pictures give the same shelves, in
    whatever order they come.
    """
    rows = _in_one_order(embeddings, once)
    if len(rows) < LEAST:
        return ()
    vectors = embeddings.vectors[rows].astype(np.float32)
    points = _principal(vectors)
    sizes = (count,) if count else tuple(size for size in SIZES if size * LEAST <= len(rows))
    found = max(
        (_kmeans(points, size) for size in sizes or (1,)), key=lambda g: _silhouette(points, g)
    )
    named = _names(vectors, found, texts, _among(negatives), embeddings.model.logit_scale)
    shelves: dict[str, tuple[list[int], tuple[str, ...], float]] = {}
    for group, (name, words, probability) in named.items():
        members = np.flatnonzero(found == group)
        centre = vectors[members].mean(axis=0)
        typical = members[np.argsort(-(vectors[members] @ centre), kind="stable")]
        before, known, best = shelves.get(name, ([], (), 0.0))
        inside = [*before, *(int(rows[row]) for row in typical)]
        shelves[name] = inside, (*known, *words), max(best, probability)
    made = [
        Shelf(name, tuple(inside), tuple(w for w in dict.fromkeys(words) if w != name), probability)
        for name, (inside, words, probability) in shelves.items()
    ]
    made.sort(key=lambda shelf: (shelf.name == "mixed", -len(shelf.rows), shelf.name))
    return tuple(made)


def _in_one_order(embeddings: Embeddings, once: Sequence[Sequence[int]]) -> Ints:
    """The rows of the pictures that count, in an order that the pictures' contents alone give: the
    starts of k-means are drawn by place, and sums of floats depend on their order."""
    digests = embeddings.digests
    order = sorted(range(len(embeddings)), key=lambda row: (digests[row], row))
    place = {row: at for at, row in enumerate(order)}
    left_out = {row for group in once for row in sorted(group, key=place.__getitem__)[1:]}
    return np.array([row for row in order if row not in left_out], np.int64)


def label_set(shelves: Sequence[Shelf]) -> LabelSet:
    """The shelves as a label set, without "mixed"; `labels_file.write` makes an editable file of
    it."""
    return LabelSet(tuple(Label(shelf.name) for shelf in shelves if shelf.name != "mixed"))


def _names(
    vectors: Floats, groups: Ints, texts: Texts, candidates: Sequence[Candidate], scale: float
) -> dict[int, tuple[str, tuple[str, ...], float]]:
    """(N, D) vectors and (N,) groups -> group: its name, the best candidates for it, and the name's
    probability. scale: the model's logit scale."""
    cosines = vectors @ texts([prompt for _, prompt, _ in candidates]).T  # (N, candidates)
    mean, std = cosines.mean(axis=0), cosines.std(axis=0) + 1e-6
    favour = np.array([favour for _, _, favour in candidates])
    names: dict[int, tuple[str, tuple[str, ...], float]] = {}
    for group in np.unique(groups):
        inside = cosines[groups == group].mean(axis=0)
        # by how much it stands out, among the 40 names of the greatest cosines
        fits = np.argsort(-inside)[:40]
        order = fits[np.argsort(-((inside - mean) / std + favour)[fits], kind="stable")]
        words = tuple(dict.fromkeys(candidates[row][0] for row in order[:CANDIDATES]))
        share_of = _probabilities(inside, candidates, words, scale)
        share = float((groups == group).mean())
        stands_out = float(((inside - mean) / std)[order[0]])  # in standard deviations
        if share < 1 and stands_out * (share / (1 - share)) ** 0.5 < COHERENT:
            names[int(group)] = ("mixed", words, 1.0)
        else:
            name = _covering(words) or words[0]
            likeliest = max(words, key=share_of.__getitem__)
            if share_of[name] < GUESS and share_of[likeliest] >= CLEAR:
                name = likeliest
            names[int(group)] = (name, words, share_of[name])
    return names


def _probabilities(
    cosines: Floats, candidates: Sequence[Candidate], words: Sequence[str], scale: float
) -> dict[str, float]:
    """(candidates,) mean cosines of a group -> the probability of each of `words`: softmax over all
    candidates."""
    shares = np.exp(scale * (cosines - cosines.max()).astype(np.float64))
    found = dict.fromkeys(words, 0.0)
    for (name, _, _), share in zip(candidates, (shares / shares.sum()).tolist(), strict=True):
        if name in found:
            found[name] += share
    return found


def _among(negatives: NegativeRows | None) -> Sequence[Candidate]:
    """The candidates that are among some negative labels; None: all."""
    if negatives is None:
        return _candidates()
    prompts = {negative_labels()[row].prompt for row in negatives.rows.tolist()}
    return [candidate for candidate in _candidates() if candidate[1] in prompts]


@cache
def _candidates() -> tuple[Candidate, ...]:
    """The names that a shelf may get."""
    things = {one.name: one.prompt for one in negative_labels() if one.kind != "scene"}
    prompts = scene_prompts() | things
    return tuple(
        (
            name,
            prompt,
            COMMON * math.log1p(_count(name))
            + EVERYDAY * (name in scene_prompts())
            + LEXICON * (lexicon.entry(name) is not None),
        )
        for name, prompt in prompts.items()
    )


def _count(word: str) -> int:
    """How often SemCor uses the word in its first visible sense."""
    return max((wordnet().count(word, one.row) for one in visible_senses(word)[:1]), default=0)


def _covering(words: Sequence[str]) -> str | None:
    """The word that is a hypernym of all others: "dog" of "sled dog", "toy dog", "dog". None where
    there is none."""
    net = wordnet()
    senses = [found[0].row for word in words if (found := visible_senses(word))]
    if len(senses) < len(words):
        return None
    for word, row in zip(words, senses, strict=True):
        if all(other == row or row in net.above(other) for other in senses):
            return word
    return None


def _principal(vectors: Floats) -> Floats:
    """(N, D) -> (N, at most `DIMENSIONS`): centred, on the principal axes, each row of length 1."""
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    points = centred @ axes[:, ::-1][:, :DIMENSIONS]
    return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9))


def _kmeans(points: Floats, size: int, rounds: int = 30, tries: int = 10) -> Ints:
    """(N, D) -> (N,): the group of each point by Lloyd's k-means, the best of `tries` k-means++
    starts. The seeds are fixed, so that the result is."""
    best, least = np.zeros(len(points), np.int64), np.inf
    for seed in range(tries):
        rng = np.random.default_rng(seed)
        centres = points[[rng.integers(len(points))]]
        while len(centres) < size:
            far = np.maximum(2 - 2 * (points @ centres.T).max(axis=1), 0) + 1e-9
            centres = np.vstack((centres, points[rng.choice(len(points), p=far / far.sum())]))
        groups = np.full(len(points), -1)
        for _ in range(rounds):
            before = groups
            groups = ((centres**2).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1)
            if (groups == before).all():
                break
            centres = np.stack(
                [
                    points[groups == one].mean(axis=0) if (groups == one).any() else centres[one]
                    for one in range(size)
                ]
            )
        cost = float(((points - centres[groups]) ** 2).sum())
        if cost < least:
            best, least = groups, cost
    return best


def _silhouette(points: Floats, groups: Ints) -> float:
    """The mean silhouette of an evenly spaced sample of the points; -1 for one group. That of
    a point that is a group of its own is 0 (Rousseeuw 1987)."""
    taken = np.unique(np.linspace(0, len(points) - 1, min(SAMPLE, len(points))).astype(int))
    points, groups = points[taken], groups[taken]
    sizes = np.bincount(groups)
    if (sizes > 0).sum() < 2:
        return -1.0
    distances = np.sqrt(np.maximum(2 - 2 * points @ points.T, 0))
    sums = np.stack([distances[:, groups == one].sum(axis=1) for one in range(len(sizes))], axis=1)
    own = np.arange(len(points)), groups
    inside = sums[own] / np.maximum(sizes[groups] - 1, 1)
    means = sums / np.maximum(sizes, 1)
    means[own] = np.inf
    means[:, sizes == 0] = np.inf
    outside = means.min(axis=1)
    values = (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-9)
    return float(np.where(sizes[groups] > 1, values, 0).mean())
