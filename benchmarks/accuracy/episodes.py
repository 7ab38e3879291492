"""Episodes: folders as users have them, drawn from labelled pictures, with the truth known.

An episode has 2 to 20 labels of one set and a share of pictures that fit none of them: *near*
(other classes of the same set), *far* (other sets) or *junk* (screenshots, receipts, pages).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.sets import Pool
from zeroshelf.labels.wordnet import wordnet

SHARES = (0.0, 0.1, 0.3, 0.7, 0.95)
KINDS = ("near", "far", "junk")
TRIES = 200  # for one episode
SIZE = 200  # pictures in an episode, fewer where a set has no more
JUNK = "junk"

# What WordNet doesn't know: pictures of the right side may show the label of the left side.
OVERLAP = {
    "house": {"suburb", "inner city", "tall building", "street", "open country"},
    "person": {"street", "inner city", "store", "office", "kitchen", "living room", "volleyball",
               "school bus", "guitar", "horse", "pizza", "banana"},
    "whale": {"beluga whale", "orca", "vaquita"},
    "dolphin": {"orca", "vaquita"},
    "penguin": {"king penguin"},
    "lizard": {"gecko", "iguana", "chameleon", "komodo dragon", "gila monster"},
    "tiger": {"white tiger"},
    "scorpion": {"emperor scorpion"},
    "ant": {"honeypot ant"},
    "street": {"school bus", "sports car", "inner city"},
    "highway": {"school bus", "sports car"},
    "coast": {"umbrella", "volleyball"},
    "suburb": {"house"},
    "kitchen": {"teapot", "pizza"},
    "forest": {"koala", "sloth", "orangutan"},
    "screenshot": {"chart"},
    "document page": {"scanned page", "receipt", "chart"},
    "scanned page": {"document page", "receipt", "chart"},
    "receipt": {"scanned page", "document page"},
}  # fmt: skip
# Captioned pictures may show anything: words in a caption that tell of a label.
TOLD_BY = {
    "person": ("man", "woman", "people", "boy", "girl", "child", "person", "player", "men", "women",
               "lady", "kid", "girls", "boys", "children", "baby", "crowd", "guy", "group"),
    "coast": ("beach", "ocean", "sea", "shore", "water"), "mountain": ("mountain", "hill", "cliff"),
    "street": ("street", "road", "sidewalk", "city"), "inner city": ("city", "street", "building"),
    "forest": ("forest", "woods", "trees"), "open country": ("field", "grass", "meadow", "country"),
    "house": ("house", "home", "building"), "tall building": ("building",),
    "store": ("shop", "store"),
    "suburb": ("house", "yard", "street"), "highway": ("road", "highway"), "dog": ("dogs", "puppy"),
}  # fmt: skip


@dataclass(frozen=True)
class Episode:
    set: str
    kind: str  # of OOD images
    share: float  # of OOD images
    labels: tuple[str, ...]
    rows: np.ndarray  # (M,) of the pool
    true: np.ndarray  # (M, K) bool: the labels that are true; none of OOD images

    def truth(self, logits: np.ndarray) -> np.ndarray:
        """(M,) the place of the true label that fits best by the (M, K) logits, -1 for OOD images:
        of several that are true, any is right."""
        best = np.where(self.true, logits, -np.inf).argmax(axis=1)
        return np.asarray(np.where(self.inside, best, -1))

    def right(self, answer: np.ndarray) -> np.ndarray:
        """(M,) columns, K for "other" -> (M,) bool: of several true labels, any is right."""
        right = np.column_stack((self.true, ~self.inside))
        return np.asarray(right[np.arange(len(answer)), answer])

    @property
    def inside(self) -> np.ndarray:
        """(M,) bool: fits a label."""
        return np.asarray(self.true.any(axis=1))


def draw(pool: Pool, count: int, seed: int, only: str | None = None) -> list[Episode]:
    """`count` episodes; sorts and shares take turns, sets and labels are drawn. A sort of OOD image
    that the pictures don't hold has no turn."""
    rng = np.random.default_rng(seed)
    sets = [str(x) for x in np.unique(pool.sets[pool.names != ""]) if x != JUNK]
    cells = [(kind, share) for share in SHARES for kind in KINDS]
    drawn: list[Episode] = []
    tried = 0
    while len(drawn) < count and cells:
        kind, share = cells[len(drawn) % len(cells)]
        chosen = only or str(rng.choice(sets))
        episode = _episode(pool, rng, chosen, kind, share)
        tried += 1
        if episode is not None:
            drawn.append(episode)
            tried = 0
        elif tried == TRIES:
            cells.remove((kind, share))
            tried = 0
    return drawn


def _episode(
    pool: Pool, rng: np.random.Generator, chosen: str, kind: str, share: float
) -> Episode | None:
    inside = pool.sets == chosen
    here = np.flatnonzero(inside)
    names = np.unique([name for row in here for name in sorted(pool.true[row])])
    most = max(2, min(20, len(names) - (3 if kind == "near" else 0)))
    if len(names) < 2:
        return None
    count = int(np.clip(np.round(np.exp(rng.uniform(np.log(2), np.log(20)))), 2, most))
    labels = tuple(str(name) for name in rng.choice(names, count, replace=False))
    fits = np.array([not pool.true[row].isdisjoint(labels) for row in range(len(pool))])
    wanted = np.flatnonzero(inside & fits)
    match kind:
        case "near":
            others = inside & ~fits
        case "far":
            others = ~inside & (pool.sets != JUNK)
        case _:
            others = (pool.sets == JUNK) & ~inside
    named = {name for row in np.flatnonzero(others) for name in pool.true[row]}
    shown = {name for name in named if any(shows(name, x) for x in labels)}
    ood = np.array(
        [
            row
            for row in np.flatnonzero(others)
            if pool.true[row].isdisjoint(shown) and not _told(pool.captions[row], labels)
        ],
        int,
    )
    size = min(SIZE, int(len(wanted) / max(1 - share, 0.05)) if share < 0.5 else SIZE)
    bad = min(round(size * share), len(ood))
    good = min(
        len(wanted), max(size - bad, 4) if share < 0.5 else max(4, round(bad * (1 - share) / share))
    )
    if (share and bad < 5) or good < 4:
        return None
    # classes as uneven as in a real folder
    true = np.array([[label in pool.true[row] for label in labels] for row in wanted])
    weight = rng.gamma(1.0, size=count)[true.argmax(axis=1)] + 0.05
    kept = rng.choice(wanted, good, replace=False, p=weight / weight.sum())
    rows = np.concatenate((kept, rng.choice(ood, bad, replace=False))).astype(int)
    held = [[label in pool.true[row] for label in labels] for row in kept]
    none = np.zeros((bad, count), bool)
    return Episode(chosen, kind, share, labels, rows, np.vstack((held, none)))


def whole(pool: Pool, name: str) -> Episode:
    """All of a set under all its labels."""
    rows = np.flatnonzero(pool.sets == name)
    labels = tuple(sorted({label for row in rows for label in pool.true[row]}))
    true = np.array([[label in pool.true[row] for label in labels] for row in rows])
    return Episode(name, "near", float((~true.any(axis=1)).mean()), labels, rows, true)


def shows(name: str, label: str) -> bool:
    """Does a picture of `name` rightly lie on the shelf `label`?"""
    if name == label or name in OVERLAP.get(label, ()):
        return True
    net = wordnet()
    above = {row for sense in net.senses(name)[:1] for row in net.above(sense.row)}
    return any(sense.row in above for sense in net.senses(label))


def _told(captions: str, labels: tuple[str, ...]) -> bool:
    if not captions:
        return False
    words = set(captions.replace(".", " ").replace(",", " ").split())
    return any(
        words.intersection((label, f"{label}s", *TOLD_BY.get(label, ())))
        or (" " in label and label in captions)
        for label in labels
    )
