"""Runs in FiftyOne's environment: python in_fiftyone.py (first|second) PICTURES WEIGHTS WORD

first: a data set of the folder, its zoo's open-clip-torch over every picture, a similarity index,
and a query; second: a query of that data set in another process. FIFTYONE_DATABASE_URI names the
MongoDB.
"""

from __future__ import annotations

import sys

import fiftyone as fo
import fiftyone.brain as fob

NAME, INDEX = "peers", "clip"


def main(step: str, pictures: str, weights: str, word: str) -> None:
    if step == "first":
        data = fo.Dataset.from_images_dir(pictures, name=NAME, persistent=True)
        fob.compute_similarity(
            data,
            model="open-clip-torch",
            model_kwargs={"clip_model": "ViT-B-32-256", "pretrained": weights},
            brain_key=INDEX,
        )
    else:
        data = fo.load_dataset(NAME)
    for one in data.sort_by_similarity(word, k=10, brain_key=INDEX):
        print("hit", one.filepath)


if __name__ == "__main__":
    main(*sys.argv[1:])
