"""The table of constants in docs/decision.md agrees with the code, in both directions."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from zeroshelf.decisions import constants

PAGE = Path(__file__).parents[1] / "docs" / "decision.md"
COLUMNS = ["constant", "module", "value", "unit", "tuned on", "what a change costs"]


class Row(NamedTuple):
    constant: str
    module: str
    value: str
    unit: str
    tuned_on: str
    cost: str


def table() -> list[Row]:
    section = PAGE.read_text(encoding="utf-8").partition("\n## Constants\n")[2]
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == COLUMNS
    return [Row(*(cell.strip("`") for cell in row)) for row in cells[2:]]


ROWS = table()


def value_of(text: str) -> Any:
    """The value of an expression of numbers, such as "12 / 256" and "np.linspace(0, 1, 5)"."""
    assert re.fullmatch(r"[-+*/(), .\w]+", text), text
    return eval(text, {"__builtins__": {}, "np": np})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.module}.{row.constant}")
def test_a_row_has_the_value_of_the_code(row: Row) -> None:
    module = importlib.import_module(f"zeroshelf.{row.module}")
    actual, told = getattr(module, row.constant), value_of(row.value)
    assert np.array_equal(actual, told)
    assert np.ndim(actual) > 0 or type(actual) is type(told)  # 4.0 is no count


def test_every_constant_of_the_decision_has_one_row() -> None:
    own = [name for name in vars(constants) if re.fullmatch("[A-Z][A-Z0-9_]*", name)]
    assert len(own) > 30
    assert [row.constant for row in ROWS if row.module == "decisions.constants"] == own


def test_no_constant_has_two_rows_and_no_cell_is_empty() -> None:
    assert len({(row.module, row.constant) for row in ROWS}) == len(ROWS)
    assert all(all(row) for row in ROWS)
