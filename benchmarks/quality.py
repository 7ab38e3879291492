"""How often is a picture taken for dark or blurred, and how often is a blurred one found?

    python -m benchmarks.quality FOLDER [--every 10]

Every picture below FOLDER as it is; and every tenth blurred by a Gaussian whose radius is a share
of the longer side: 2 % are 80 pixels of a photograph of 12 megapixels.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from PIL import ImageFilter

from zeroshelf.errors import Unreadable
from zeroshelf.images import decode, quality, thumbnails
from zeroshelf.images.scan import scan

SHARES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08)
SIDE = 256  # pixels that a picture is decoded at


def problem(decoded: decode.Decoded) -> str | None:
    return quality.problem(thumbnails.shrink(decoded.image, quality.SIDE))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--every", type=int, default=10, help="picture that is blurred")
    given = parser.parse_args()
    seen, taken = 0, []
    blurred = dict.fromkeys(SHARES, 0)
    tried = 0
    for picture in scan(given.folder).pictures:
        try:
            decoded = decode.decode(decode.read(picture.path), SIDE)
        except Unreadable:
            continue
        seen += 1
        if found := problem(decoded):
            taken.append(f"{picture.path}: {found}")
        if seen % given.every:
            continue
        tried += 1
        for share in SHARES:
            radius = share * max(decoded.image.size)
            soft = decoded.image.filter(ImageFilter.GaussianBlur(radius))
            blurred[share] += problem(replace(decoded, image=soft)) == quality.BLURRED
    print(f"{seen:,} pictures, {len(taken)} taken for dark or blurred", *taken, sep="\n  ")
    print(f"of {tried:,} blurred by")
    for share, count in blurred.items():
        print(
            f"  {100 * share:.1f} % of the longer side: {100 * count / max(tried, 1):.0f} % found"
        )


if __name__ == "__main__":
    main()
