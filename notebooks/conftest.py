"""A notebook that is tested has a home of its own: it adds no run to those of the user, whose
`zeroshelf undo` means the newest one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from tempfile import TemporaryDirectory

import pytest

# Needs Ray and a local S3 server: `make test-ray` runs it where both are installed.
collect_ignore = [] if find_spec("ray") and find_spec("moto") else ["bucket.ipynb"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """The notebook's process inherits the environment."""
    with TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        for name in ("CACHE", "RUNS", "MODELS"):
            patch.setenv(f"ZEROSHELF_{name}", os.path.join(home, name.lower()))
        return (yield)
