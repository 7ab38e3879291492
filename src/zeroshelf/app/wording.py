"""What other parts of the program tell, for users of the app: they have no terminal, so that a
command's name becomes the place in the app, or goes."""

from __future__ import annotations

import re

_INSTEAD = (
    (r"`zeroshelf models get (\S+)` brings a better one", r'a better one, \1, is under "Models"'),
    (r"; run `zeroshelf models calibrate` on a folder of sorted pictures", ""),
    (r"; `zeroshelf labels check` says what helps", ""),
    (r", nor a folder of that name; .*`zeroshelf models` lists what there is", ': see "Models"'),
    (r"; `zeroshelf models` lists what is", ': see "Models"'),
    (r": `zeroshelf runs` lists (them|all runs)", ': see "History"'),
)
_PATTERNS = tuple((re.compile(pattern), instead) for pattern, instead in _INSTEAD)


def in_app(line: str) -> str:
    """The line as the app says it."""
    for pattern, instead in _PATTERNS:
        line = pattern.sub(instead, line)
    return line
