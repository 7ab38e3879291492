"""A query and a source of vectors -> hits. The command, the API and the review page search by it.

Every vector is compared with the query. Whether anything fits is decided for all pictures of a
folder, and in a folder of more than `WHOLE` for the nearest ones beside some that are drawn evenly
from it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zeroshelf.decisions import likely_negatives
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import Embedded, EmbeddingCache
from zeroshelf.errors import Unreadable, UserError
from zeroshelf.images import decode, near_duplicates
from zeroshelf.labels.prompts import mean_vectors
from zeroshelf.records import Calibration, Embeddings, Encoder, Progress, ResolvedLabels, Scores
from zeroshelf.search import exact, fits
from zeroshelf.search.exact import Floats, Rows
from zeroshelf.search.query import Query, Term
from zeroshelf.search.sources import Source

WHOLE = 4096  # pictures of a folder that are all judged
NEAREST = 256  # of a larger one, the pictures nearest to the query that are judged, at least
DRAWN = 512  # pictures of the folder beside which they are judged, evenly spaced
FOLDED = 4  # times as many hits as are wanted are compared with each other, so that enough are left


@dataclass(frozen=True, slots=True)
class Hit:
    """One picture that was found."""

    path: str
    score: float  # cosine with the query, -1 to 1
    probability: float | None  # that it fits the words; None: the query has none
    row: int  # of the vectors that were searched
    digest: bytes  # BLAKE3 of the picture's content
    near_duplicates: tuple[str, ...] = ()  # paths of worse hits that show nearly the same


@dataclass(frozen=True, slots=True)
class _Judged:
    """The M pictures that were judged, in the order of their paths."""

    embeddings: Embeddings
    rows: Rows  # (M,), of the source
    scores: Floats  # (M,)
    probabilities: Floats | None  # (M,); None: the query has no words
    order: Rows  # (H,), those that may be hits, best first: positions in the arrays above


class Searcher:
    """Searches one folder with one model.

    source: the folder's vectors.
    encoder: the model that made them.
    store: the cache, which keeps the vectors of texts.
    calibration: returns that of the model; called where probabilities are wanted, since a large
        model may have to embed texts for it.
    before: scores of all pictures of the source under any labels, if there are some.
    progress: called with the stage "texts" where many have to be embedded.
    """

    def __init__(
        self,
        source: Source,
        encoder: Encoder,
        store: EmbeddingCache,
        calibration: Callable[[], Calibration],
        *,
        before: Scores | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._source, self._encoder, self._store = source, encoder, store
        self._calibration, self._before = calibration, before
        self._texts = compute.text_embedder(encoder, store, progress)
        self._whole: fits.Judge | None = None  # of all pictures, where all are judged

    def search(
        self,
        query: Query,
        *,
        top: int | None = None,
        least: float | None = None,
        fold: bool = True,
        judge: bool = True,
    ) -> list[Hit]:
        """The hits, best first.

        top: how many at most; None: all, and in a large folder as many as fit.
        least: the least probability of a hit; None: any.
        fold: a near-duplicate of a better hit is listed in that hit, and is none of its own.
        judge: False for hits without probabilities, which are there at once: the probabilities need
            the model's calibration and the vectors of some hundred negative labels, and a large
            model takes a while for these once.

        Raises `UserError` where a picture of the query can't be read, or where `least` is given for
        a query without words.
        """
        if least is not None and not query.words:
            raise UserError("a picture alone has no probability: add words, or ask for none")
        labels = [fits.resolved(term.text, self._texts) for term in query.words]
        scores = self._scores(query, labels)
        if not len(scores):
            return []
        total = len(scores)
        words = query.words if judge or least is not None else ()
        whole = total <= max(WHOLE, NEAREST + DRAWN) or (top is None and least is None)
        count = total if whole else max(NEAREST, FOLDED * (top or 0))
        while True:
            found = self._judged(words, labels, scores, count)
            fit = found.order
            if found.probabilities is not None and least is not None:
                fit = fit[found.probabilities[fit] >= least]
            hits = self._hits(found, fit, top, fold)
            # where the furthest that were judged fit too, there may be more
            last = found.order[-(count // 10) :]
            more = least is None or len(np.intersect1d(fit, last)) > len(last) // 5
            if count >= total or not more or (top is not None and len(hits) >= top):
                return hits
            count *= FOLDED

    def _hits(self, found: _Judged, fit: Rows, top: int | None, fold: bool) -> list[Hit]:
        """Up to `top` hits of the places `fit`, best first."""
        if not fold:
            return [_hit(found, (at,)) for at in fit[:top].tolist()]
        taken = len(fit) if top is None else FOLDED * top
        while True:
            groups = list(self._groups(found.embeddings, fit[:taken]))
            if taken >= len(fit) or (top is not None and len(groups) >= top):
                return [_hit(found, group) for group in groups[:top]]
            taken *= FOLDED

    def _scores(self, query: Query, labels: Sequence[ResolvedLabels]) -> Floats:
        """(N,): the cosine of each picture of the source with the query."""
        names = [label.each[0].prompts[0] for label in labels]
        vectors = [*mean_vectors(names, self._texts)] if names else []
        vectors += [self._picture(term) for term in query.pictures]
        queries = np.stack(vectors).astype(np.float32)
        weights = [term.weight for term in (*query.words, *query.pictures)]
        return exact.combined(self._source.cosines(queries), queries, weights)

    def _picture(self, term: Term) -> Floats:
        """(D,): the vector of a picture of the query, from the cache where that has it."""
        model = self._encoder.model
        try:
            content = decode.read(os.path.abspath(term.text))
            digest = decode.digest(content)
            known = self._store.known(model.digest, [digest]).get(digest)
            if isinstance(known, str):
                raise Unreadable(known)
            if known is None:
                suffix = os.path.splitext(term.text)[1].lower()
                made = compute.embed_batch([(suffix, content)], self._encoder)[0]
                if not isinstance(made, Embedded):
                    raise made
                known = made.vector
        except Unreadable as trouble:
            raise UserError(f"{term.text}: {trouble}") from None
        return known.astype(np.float32)

    def _judged(
        self, words: Sequence[Term], labels: Sequence[ResolvedLabels], scores: Floats, count: int
    ) -> _Judged:
        """Judge the `count` nearest of N pictures, beside those that are drawn from all."""
        total = len(scores)
        whole = total <= max(NEAREST + DRAWN, count)
        nearest = exact.best(scores, total if whole else count)
        drawn = np.linspace(0, total - 1, 0 if whole else DRAWN).astype(np.int64)
        embedded, rows = self._source.embeddings(np.union1d(nearest, drawn).tolist())
        chances: Floats | None = None
        if words and len(rows):
            judge = self._whole if whole else None
            if judge is None:
                places = np.flatnonzero(np.isin(rows, drawn)).tolist()
                calibration = self._calibration()  # may add to the cache what is read from it below
                judge = fits.Judge(
                    embedded,
                    calibration,
                    self._texts,
                    store=self._store,
                    total=total,
                    drawn=None if whole else places,
                    before=self._before if whole else None,
                    negatives=likely_negatives.of_known(embedded, self._store),
                )
                self._whole = judge if whole else None
            each = [judge.probabilities(label) for label in labels]
            signed = [p if term.weight > 0 else 1 - p for term, p in zip(words, each, strict=True)]
            chances = np.minimum.reduce(signed)
        order = np.argsort(-scores[rows], kind="stable")
        order = order[np.isin(rows[order], nearest)]
        return _Judged(embedded, rows, scores[rows], chances, np.asarray(order, np.int64))

    def _groups(self, embedded: Embeddings, order: Rows) -> Iterator[tuple[int, ...]]:
        """The hits at the places `order`, best first, each with its near-duplicates among them."""
        places = np.sort(order)  # in the order of their paths
        found = near_duplicates.groups(embedded.some(places.tolist()), self._store.hashes)
        group_of = {int(places[row]): group for group in found for row in group}
        rank = {at: number for number, at in enumerate(order.tolist())}
        seen: set[int] = set()
        for at in order.tolist():
            if at not in seen:
                same = {at, *(int(places[row]) for row in group_of.get(at, ()))}
                seen |= same
                yield tuple(sorted(same, key=rank.__getitem__))


def _hit(found: _Judged, group: Sequence[int]) -> Hit:
    """The first of the group, with the others as its near-duplicates."""
    at = group[0]
    pictures = found.embeddings.pictures
    return Hit(
        path=pictures[at].path,
        score=float(np.clip(found.scores[at], -1, 1)),  # in half precision, a row is about 1 long
        probability=None if found.probabilities is None else float(found.probabilities[at]),
        row=int(found.rows[at]),
        digest=found.embeddings.digests[at],
        near_duplicates=tuple(pictures[one].path for one in group[1:]),
    )
