"""Who may import whom, and that the doors to the outside stay few."""

from __future__ import annotations

import ast
import json
import re
import symtable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "zeroshelf"
MODULES = sorted(SOURCE.rglob("*.py"))
DOORS = {  # what is outside -> the modules that may touch it, by the start of their path
    "onnxruntime": set(),  # `telemetry.onnxruntime()` brings it, without its telemetry
    "onnx": {"models/export/", "models/batch.py", "models/half.py"},
    "huggingface_hub": set(),  # `telemetry.huggingface_hub()`, for models/fetch.py alone
    "sqlite3": {"embeddings/"},
    "rich": {"commands/terminal.py"},
    "click": {"commands/"},
    "torch": {"models/export/"},
    "transformers": {"models/export/"},
    "open_clip": {"models/export/"},
    "starlette": {"app/", "review/", "commands/app.py", "commands/review.py"},
    "uvicorn": {"commands/app.py", "review/", "commands/review.py"},
    "watchdog": {"watch/wake.py"},
    "ftfy": {"models/text.py"},
    "send2trash": {"system/trash.py"},
    "pyarrow": {"datasets/", "output/tables.py", "run/run.py"},
    "fsspec": {"actions/on_store/through_fsspec.py"},
    "boto3": {"actions/on_store/s3.py"},
    "botocore": {"actions/on_store/s3.py"},
    "ray": set(),  # `telemetry.ray()`, for datasets/on_ray.py alone
    "tokenizers": {"models/text.py", "models/clip_bpe.py", "models/export/"},
}
# The stages in the order in which data walks through them: a module imports from its own stage and
# from earlier ones. What is not listed joins them (`__init__`, `__main__`).
STAGES = [
    "errors", "records", "counting", "checks", "system", "images", "models",
    "embeddings", "labels", "decisions", "search", "corrections", "actions", "output", "runs",
    "run", "index", "datasets", "review", "app", "watch", "integrations", "commands",
]  # fmt: skip


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_outside_thing_has_one_door(path: Path) -> None:
    here = path.relative_to(SOURCE).as_posix()
    for name in imports(path):
        allowed = DOORS.get(name.split(".")[0])
        assert allowed is None or any(here.startswith(door) for door in allowed), (
            f"{here} imports {name}; only {', '.join(sorted(allowed)) or 'system/telemetry.py'} may"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    here = _stage(path.relative_to(SOURCE).with_suffix("").as_posix())
    if here is None:
        return
    names = {
        name.removeprefix("zeroshelf.") for name in imports(path) if name.startswith("zeroshelf.")
    }
    later = {name for name in names if (_stage(name.replace(".", "/")) or 0) > here}
    assert not later, f"{path.name} imports from later stages: {', '.join(sorted(later))}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Nor by way of others; late imports and those for types count too. A package's `__init__`
    counts by what it takes from its modules."""
    names = {
        ".".join(("zeroshelf", *path.relative_to(SOURCE).with_suffix("").parts)): path
        for path in MODULES
    }
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph = {
        name: {found for found in imports(path) if found in names and found != name}
        for name, path in names.items()
    }
    for name, found in graph.items():  # `from package import module` needs the module alone
        graph[name] = {
            one for one in found if not any(other.startswith(f"{one}.") for other in found)
        }
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"c"}, "c": {"a"}}).prepare()
    TopologicalSorter(graph).prepare()


def _stage(name: str) -> int | None:
    """The place of a module's stage; None for what joins all, and for what is no module."""
    first = name.split("/", maxsplit=1)[0]
    return None if first.startswith("__") else STAGES.index(first)


def test_every_stage_is_there() -> None:
    there = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in MODULES}
    assert {name for name in there if not name.startswith("__")} == set(STAGES)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_of_ours_goes_by_another_name(path: Path) -> None:
    modules = {
        ".".join(("zeroshelf", *p.relative_to(SOURCE).with_suffix("").parts)) for p in MODULES
    }
    aliased = [
        f"{node.module}.{alias.name} as {alias.asname}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname and f"{node.module}.{alias.name}" in modules
    ]
    assert not aliased


def test_records_import_nothing_else_of_ours() -> None:
    found = {name for file in (SOURCE / "records").glob("*.py") for name in imports(file)}
    ours = {name for name in found if name.startswith("zeroshelf")}
    assert ours and all(name.startswith("zeroshelf.records.") for name in ours)


CALLS_HOME = re.compile(
    r"^\s*(import|from) +(onnxruntime|huggingface_hub)\b"
    r"|(import_module|importorskip|__import__)\( *['\"](onnxruntime|huggingface_hub)\b",
    re.MULTILINE,
)


def test_what_calls_home_is_imported_in_one_place_of_the_whole_repository() -> None:
    """Notebooks, benchmarks, the training and the tests go by `zeroshelf.system.telemetry` too."""
    root = SOURCE.parent.parent
    folders = ("src", "tests", "benchmarks", "training", "notebooks", "languages", "docs")
    files = [
        file
        for folder in folders
        for file in (root / folder).rglob("*")
        if file.suffix in {".py", ".ipynb"} and "node_modules" not in file.parts
    ]
    assert len(files) > 150  # it looked
    found = {
        file.relative_to(root).as_posix()
        for file in files
        for code in _code(file)
        if CALLS_HOME.search(code)
    }
    assert found == {"src/zeroshelf/system/telemetry.py"}


def _code(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return [text]
    cells = json.loads(text)["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


# What only some systems have, or have in another way, and the modules that may ask for it.
ONE_SYSTEMS = {
    "modules": {"ctypes", "fcntl", "grp", "msvcrt", "platform", "pwd", "resource", "winreg"},
    "sys": {"platform", "getwindowsversion"},
    "os": {
        "name", "sched_getaffinity", "fork", "sysconf", "geteuid", "getuid", "getgid", "chown",
        "lchown", "chflags", "mkfifo", "link", "symlink", "fsync", "fdatasync", "sync",
        "copy_file_range", "sendfile", "listxattr", "getxattr", "setxattr", "statvfs", "pathconf",
        "cpu_count", "process_cpu_count", "O_NONBLOCK", "O_NOFOLLOW", "O_BINARY", "O_PATH",
        "O_DIRECTORY", "O_CLOEXEC", "uname", "kill", "killpg",
    },
}  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_what_systems_differ_in_is_in_one_module(path: Path) -> None:
    if path.relative_to(SOURCE).parts[0] == "system":
        return
    found = {name.split(".")[0] for name in imports(path)} & ONE_SYSTEMS["modules"]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id="os" | "sys" as module), attr=name):
                found |= {name} & ONE_SYSTEMS[module]
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr"),
                args=[ast.Name(id="os" | "sys" as module), ast.Constant(value=str(name)), *_],
            ):
                found |= {name} & ONE_SYSTEMS[module]
            case ast.ImportFrom(module="os" | "sys" as module, names=names):
                found |= {alias.name for alias in names} & ONE_SYSTEMS[module]
    assert not found, f"{path.name} asks for {', '.join(sorted(found))}: system/ may"


LONGEST_MODULE, LONGEST_FUNCTION, MOST_NAMES, MOST_FILES_AT_THE_TOP = 350, 60, 25, 8


def too_large() -> set[str]:
    """Modules with too many lines; functions with too many lines or local names (parameters are
    names too; those of a function inside another count for the inner one)."""
    found = set()
    for path in MODULES:
        name = path.relative_to(SOURCE).as_posix()
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > LONGEST_MODULE:
            found.add(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    found.add(f"{name}:{node.name}")
        found |= {
            f"{name}:{each}" for each in _with_many_names(symtable.symtable(text, name, "exec"))
        }
    return found


def _with_many_names(table: symtable.SymbolTable) -> set[str]:
    found = set()
    if isinstance(table, symtable.Function) and len(table.get_locals()) > MOST_NAMES:
        found.add(table.get_name())
    for child in table.get_children():
        found |= _with_many_names(child)
    return found


def test_modules_and_functions_stay_short() -> None:
    assert not too_large()


def test_the_top_of_the_package_has_few_files() -> None:
    files = [path.name for path in SOURCE.glob("*.py")]
    assert len(files) <= MOST_FILES_AT_THE_TOP, files
