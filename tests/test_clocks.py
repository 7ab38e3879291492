"""No test passes or fails by how long something took: a machine may be busy with other things.

What must be bounded is counted (`counting`), and what is waited for is waited for until it comes
or hangs (`waiting`). This looks for everything else in the tests' own source.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.waiting import HANG

ROOT = Path(__file__).parent.parent
TESTS = sorted((ROOT / "tests").glob("*.py"))
CLOCK = re.compile(
    r"\b(perf_counter|monotonic|process_time|thread_time|clock_gettime|getrusage|timeit"
    r"|time\.time|os\.times|datetime\.now|performance\.now|Date\.now)(_ns)?\b"
)
SLEEP = re.compile(r"\btime\.sleep\b|\bfrom time import\b")
LIMITS = {"timeout", "deadline"}  # arguments that end a wait
WAITS = {"wait", "join", "acquire", "communicate", "result"}
SHOWS_TIMES = {"models.ipynb"}  # compares models by the processor time that they take
SHOWN_TIME = re.compile(r"seconds|spent|\btime\b")  # what a time is called there
MAY: dict[str, str] = {  # file -> why it may look at a clock
    "waiting.py": "ends what hangs",
    "chromium.py": "ends what hangs, in the page",
    "test_faults.py": "kills at random instants, after which everything must hold",
    "test_embedding_cache.py": "gives a file an age",
    "test_runs_command.py": "gives a run an age",
    "test_many_runs.py": "sets the clock back, for the order of runs",
    "test_telemetry.py": "lives as long as a process beside it that calls home",
    "test_clocks.py": "names what is forbidden",
}


def clocks(source: str) -> Iterator[str]:
    """What in a test's source depends on the clock, a line each. Strings count as well: they are
    programs for a child or a page. Docstrings don't."""
    tree = ast.parse(source)
    documented = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            if CLOCK.search(ast.unparse(node)):
                yield f"line {node.lineno}: a clock, {ast.unparse(node)}"
            if SLEEP.search(ast.unparse(node)):
                yield f"line {node.lineno}: a sleep"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield f"line {node.lineno}: a clock, {ast.unparse(node)}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node not in documented and CLOCK.search(node.value):
                yield f"line {node.lineno}: a clock, in a string"
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            given = [word.value for word in node.keywords if word.arg in LIMITS]
            for limit in (*given, *(node.args if name in WAITS else ())):
                value = getattr(limit, "value", None)
                if isinstance(value, int | float) and not isinstance(value, bool) and value:
                    yield f"line {node.lineno}: {value} for a wait; say HANG"


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_no_test_looks_at_a_clock(path: Path) -> None:
    found = list(clocks(path.read_text(encoding="utf-8")))
    assert path.name in MAY or not found, f"{path.name}: {'; '.join(found)}"


def test_a_notebook_looks_at_none_and_one_that_shows_times_asserts_nothing_of_them() -> None:
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        if notebook.name not in SHOWS_TIMES:
            assert not CLOCK.search("\n".join(sources)), notebook.name
        for source in sources:
            assert "assert" not in source or not SHOWN_TIME.search(source), notebook.name


@pytest.mark.parametrize(
    "source",
    [
        "start = time.perf_counter()\nassert time.perf_counter() - start < 5",
        "from time import monotonic as now\nassert now() < 3",
        "import time\nassert time.time() - before < 1",
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_utime < 2",
        "took = os.times().user",
        "subprocess.run(command, timeout=60)",
        "child.wait(60)",
        "thread.join(5.0)",
        "browser.wait('ready', 4)",
        "time.sleep(0.5)",
        "PROGRAM = 'import time; print(time.process_time())'",
        "browser.run('performance.now() < 100')",
    ],
)
def test_what_looks_at_a_clock_is_found(source: str) -> None:
    assert list(clocks(source))


@pytest.mark.parametrize(
    "source",
    [
        "child.wait(HANG)",
        "urlopen(address, timeout=HANG)",
        "os.utime(path, ns=(1, 2))",
        "video(seconds=1)",
        "found.get(word, 0)",
        "'''Takes 0.1 s by perf_counter.'''",
    ],
)
def test_what_does_not_is_left_alone(source: str) -> None:
    assert not list(clocks(source))


def test_a_hang_is_ended_and_nothing_else() -> None:
    """By pytest-timeout, later than a wait that has its own end; examples have no deadline."""
    written = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert written["tool"]["pytest"]["ini_options"]["timeout"] >= 2 * HANG
    assert settings().deadline is None
