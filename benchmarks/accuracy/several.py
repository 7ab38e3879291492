"""Are further labels rightly given? python -m benchmarks.accuracy.several [--model DIR]

Captioned pictures of the development sets; a label is true where a caption tells of it. Counted are
the labels beside the best one (`decisions.also`), of pictures that are on a shelf.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.accuracy import sets
from zeroshelf.decisions import decide
from zeroshelf.decisions.scores import score_vectors
from zeroshelf.labels.parse import parse
from zeroshelf.labels.resolve import resolve
from zeroshelf.models import select

TOLD_BY = {
    "dog": "dog dogs puppy",
    "beach": "beach ocean sea shore sand",
    "snow": "snow snowy ski skier snowboarder",
    "water": "water pool lake ocean river wave swimming",
    "grass": "grass grassy field lawn",
    "bicycle": "bicycle bike biker bikes cyclist",
    "street": "street sidewalk road city",
    "child": "child children kid kids boy boys girl girls toddler baby",
    "ball": "ball football basketball soccer tennis",
    "mountain": "mountain mountains cliff rock climber",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="a model's id or folder; the starter without")
    pool = sets.load(parser.parse_args().model)
    rows = np.array([row for row, captions in enumerate(pool.captions) if captions])
    told = [set(pool.captions[row].replace(".", " ").replace(",", " ").split()) for row in rows]
    truth = np.array([[bool(said & set(by.split())) for by in TOLD_BY.values()] for said in told])
    labels = resolve(parse(list(TOLD_BY)), pool.texts)
    scores = score_vectors(pool.vectors[rows], pool.model, labels, pool.texts)
    decided = decide.decide(scores, select.calibration(pool.model))
    on_shelf = decided.chosen < len(TOLD_BY)
    best = np.arange(len(TOLD_BY)) == decided.chosen[:, None]
    further = decide.also(decided)
    true = truth & ~best & on_shelf[:, None]
    print(
        f"{len(rows)} pictures, {100 * on_shelf.mean():.0f} % on a shelf; "
        f"{100 * truth[best].mean():.1f} % of the best labels are told of"
    )
    print(
        f"further labels: {further.sum()}, {100 * truth[further].mean():.1f} % of them are told "
        f"of; {100 * (further & truth).sum() / true.sum():.1f} % of those told of are given"
    )


if __name__ == "__main__":
    main()
