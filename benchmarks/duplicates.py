"""What is called a near-duplicate, and rightly? python -m benchmarks.duplicates [--pictures 300]

Development pictures, which are all different (what is found among them alone is listed, to be
looked at), beside what people make of their pictures: saved again, made smaller, cropped, brighter.
Precision is over pairs: of all pairs that share a group, those that come from one picture.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from PIL import Image, ImageEnhance

from benchmarks.accuracy import sets
from zeroshelf.embeddings import compute
from zeroshelf.embeddings.cache import EmbeddingCache
from zeroshelf.images import near_duplicates, scan
from zeroshelf.models import select


def halved(image: Image.Image) -> Image.Image:
    return image.resize((max(1, image.width // 2), max(1, image.height // 2)))


def cropped(image: Image.Image) -> Image.Image:
    """Without a twentieth on every side."""
    x, y = image.width // 20, image.height // 20
    return image.crop((x, y, image.width - x, image.height - y))


VARIANTS: dict[str, tuple[Callable[[Image.Image], Image.Image], int]] = {  # change, JPEG quality
    "saved again at quality 40": (lambda image: image, 40),
    "half the size": (halved, 85),
    "a twentieth cut off each side": (cropped, 85),
    "a fifth brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.2), 85),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=300)
    count = parser.parse_args().pictures
    files = sorted((sets.SHARED / "pictures").rglob("*.jpg"))
    files = [file for file in files if min(Image.open(file).size) >= 128]
    chosen = files[:: max(1, len(files) // count)][:count]
    with tempfile.TemporaryDirectory() as work:
        for number, file in enumerate(chosen):
            image = Image.open(file).convert("RGB")
            image.save(Path(work) / f"{number:05}-original.jpg", quality=92)
            for name, (change, quality) in VARIANTS.items():
                change(image).save(Path(work) / f"{number:05}-{name}.jpg", quality=quality)
        with EmbeddingCache.open(os.path.join(work, "cache")) as store:
            encoder = select.load(select.find("starter"))
            made = compute.embed(scan.scan(work), encoder, store)
            groups = near_duplicates.groups(made, store.hashes)
    names = [Path(picture.path).stem.split("-", 1) for picture in made.pictures]
    pairs = [pair for group in groups for pair in combinations(group, 2)]
    right = [(names[a], names[b]) for a, b in pairs if names[a][0] == names[b][0]]
    wrong = {(names[a][0], names[b][0]) for a, b in pairs} - {(a[0], b[0]) for a, b in right}
    print(f"{len(made):,} pictures of {len(chosen)} motifs, {len(groups)} groups")
    print(f"precision {100 * len(right) / max(1, len(pairs)):.2f} % of {len(pairs):,} pairs")
    with_original = Counter(
        other
        for a, b in right
        for this, other in ((a[1], b[1]), (b[1], a[1]))
        if this == "original"
    )
    for name in VARIANTS:
        print(f"- {name}: {100 * with_original[name] / len(chosen):.1f} % are with their original")
    for a, b in sorted(wrong):
        print(f"together: {chosen[int(a)].name} and {chosen[int(b)].name}")


if __name__ == "__main__":
    main()
