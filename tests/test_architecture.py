"""docs/architecture.md names the stages and functions that there are."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.test_house import SOURCE, STAGES

PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"
# Below the stages: what every one of them may use.
FOUNDATIONS = {"errors", "records", "counting", "checks", "system"}


def test_the_drawing_has_every_stage_and_its_arrows_follow_their_order() -> None:
    drawing = re.search(r"```mermaid\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert drawing
    arrows = re.findall(r"^ *(\w+) -->(?:\|[^|]*\|)? (\w+)$", drawing[1], re.MULTILINE)
    assert {stage for arrow in arrows for stage in arrow} == {*STAGES} - FOUNDATIONS
    assert all(STAGES.index(first) < STAGES.index(second) for first, second in arrows)


def test_the_drawing_of_the_site_has_no_box_on_another() -> None:
    drawing = _site_drawing()
    found = drawing.FLOW_CHART.search(PAGE.read_text(encoding="utf-8"))
    places = drawing.places(drawing.arrows(found[1]))
    assert {*places} == {*STAGES} - FOUNDATIONS
    boxes = [*places.values()]
    for at, (column, row) in enumerate(boxes):
        same = [other for other, its_row in boxes[:at] if its_row == row]
        assert all(abs(column - other) >= 1 for other in same)


def test_a_flow_chart_that_can_not_be_drawn_is_refused() -> None:
    drawing = _site_drawing()
    with pytest.raises(ValueError, match="no arrows"):
        drawing.arrows("  a --> b\n  a -.-> c\n")
    with pytest.raises(ValueError, match="cycle"):
        drawing.svg(drawing.arrows("a --> b\nb --> a\n"))
    assert "&lt;b&gt;" in drawing.svg(drawing.arrows("a -->|<b>| c\n"))


def _site_drawing() -> Any:
    spec = importlib.util.spec_from_file_location("drawing", PAGE.with_name("site_drawing.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["drawing"] = module  # where a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


def test_every_record_on_an_arrow_is_one() -> None:
    records = {name for file in (SOURCE / "records").glob("*.py") for name in _names(file)}
    named = re.findall(r"\|([^|]+)\| \w+$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert named and {name for line in named for name in line.split(", ")} <= records


def test_every_function_that_is_named_is_in_its_file() -> None:
    text = PAGE.read_text(encoding="utf-8")
    links = re.findall(r"\[`(\w+)`\]\(\.\./src/zeroshelf/([\w/]+\.py)\)", text)
    assert len(links) >= 14
    assert [link for link in links if link[0] not in _names(SOURCE / link[1])] == []


def _names(module: Path) -> set[str]:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
