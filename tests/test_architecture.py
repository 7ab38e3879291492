"""docs/architecture.md names the stages and functions that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

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
