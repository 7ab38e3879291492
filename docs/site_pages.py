"""A hook of mkdocs: the pages of the site that do not lie in docs/.

README.md, CONTRIBUTING.md and CHANGELOG.md, the notebooks as they were saved (none is executed),
and each source file that a page links to. Pages keep the links that work on a code host; here they
are rewritten to the pages of the site.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import site_drawing
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
# Pages of the root by their address in the site.
MOVED = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
# What a source page shows; of other files a folder's page has the name alone.
SHOWN = {"", ".css", ".html", ".js", ".md", ".py", ".toml", ".txt", ".yml"}
LARGEST = 200_000  # bytes of a file that is shown
_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*?$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()([^)#\s]+)")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_HIDDEN_TAGS = {"hide", "hidden", "hide-cell", "hide-input", "remove-cell", "remove_cell"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the navigation's entry "Notebooks"."""
    for entry in config.nav or []:
        if "Notebooks" in entry:
            pages = [f"notebooks/{path.stem}.md" for path in notebooks()]
            entry["Notebooks"] = ["notebooks/README.md", *pages]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/, and those of the source files that pages link to."""
    for address, moved in MOVED.items():
        text = (ROOT / moved).read_text(encoding="utf-8")
        files.append(File.generated(config, address, content=text))
    for address, content in gallery():
        files.append(File.generated(config, address, content=content))
    waiting = [file for file in files.documentation_pages() if file.src_uri]
    while waiting:
        page = waiting.pop()
        for path in linked(page.src_uri, page.content_string):
            address = address_of(path)
            if files.get_file_from_path(address) is None and (content := source_page(path)):
                added = File.generated(config, address, content=content)
                files.append(added)
                waiting.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links from paths of the repository to those of the site, and draw flow charts."""
    home = os.path.dirname(page.file.src_uri)

    def rewrite(target: str) -> str:
        path = in_repository(page.file.src_uri, target)
        if path is None:
            return target
        address = address_of(path)
        if files.get_file_from_path(address) is None:
            raise ValueError(f"{page.file.src_uri} links to {target}, which is not in the site")
        return os.path.relpath(address, home or ".").replace(os.sep, "/")

    drawn = site_drawing.drawn(markdown)
    return outside_of_fences(
        drawn, lambda text: _LINK.sub(lambda found: rewrite(found.group()), text)
    )


def outside_of_fences(markdown: str, change: Callable[[str], str]) -> str:
    """`markdown` with `change` applied to what is not in a fenced block of code."""
    done, at = [], 0
    for fence in _FENCE.finditer(markdown):
        done += [change(markdown[at : fence.start()]), fence.group()]
        at = fence.end()
    return "".join([*done, change(markdown[at:])])


def linked(address: str, markdown: str) -> list[Path]:
    """The files and folders of the repository that a page links to."""
    text = _FENCE.sub("", markdown)
    paths = [in_repository(address, target) for target in _LINK.findall(text)]
    return [path for path in paths if path is not None]


def in_repository(address: str, target: str) -> Path | None:
    """What the link `target` of the page at `address` leads to; None for one that leaves it."""
    if "://" in target or target.startswith("mailto:"):
        return None
    path = (home_of(address).parent / target).resolve()
    return path if path.exists() and path.is_relative_to(ROOT) else None


def home_of(address: str) -> Path:
    """The file of the repository that the page at `address` was made from."""
    if address in MOVED:
        return ROOT / MOVED[address]
    if address.startswith("source/"):
        path = ROOT / address.removeprefix("source/").removesuffix(".md")
        return path / "index" if path.is_dir() else path
    return ROOT / address if address.startswith("notebooks/") else ROOT / "docs" / address


def address_of(path: Path) -> str:
    """The page of the site for a file or folder of the repository."""
    relative = path.relative_to(ROOT).as_posix()
    for address, moved in MOVED.items():
        if relative == moved:
            return address
    if relative == "notebooks":
        return "notebooks/README.md"
    if path.parent == NOTEBOOKS and path.suffix == ".ipynb":
        return f"notebooks/{path.stem}.md"
    if path.is_relative_to(NOTEBOOKS) and path.is_file() and path.suffix != ".py":
        return relative
    if path.is_relative_to(ROOT / "docs") and path.is_file() and path.suffix != ".py":
        return relative.removeprefix("docs/")
    return f"source/{relative}.md"


def source_page(path: Path) -> str:
    """A page with a source file or the names in a folder; empty where neither is shown."""
    title = path.relative_to(ROOT).as_posix()
    head = f"---\ntitle: {title}\nsearch: {{exclude: true}}\n---\n\n"
    if path.is_dir():
        return head + f"# {title}\n\n" + "".join(listing(path))
    if path.suffix not in SHOWN or path.stat().st_size > LARGEST:
        return ""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return head + text
    language = path.suffix.removeprefix(".") or "text"
    return head + f"# {title}\n\n``````{language}\n{text.rstrip()}\n``````\n"


def listing(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__pycache__")):
            continue
        shown = path.is_dir() or (path.suffix in SHOWN and path.stat().st_size <= LARGEST)
        name = path.name + "/" * path.is_dir()
        yield f"- [{name}]({path.name})\n" if shown else f"- {name}\n"


def notebooks() -> list[Path]:
    """Those of the repository, in the order of the numbers in their names."""
    return sorted(NOTEBOOKS.glob("*.ipynb"), key=lambda path: (not path.name[0].isdigit(), path))


def gallery() -> Iterator[tuple[str, str | bytes]]:
    """The address and content of each notebook's page, of its pictures, and of what lies beside."""
    names = []
    for path in notebooks():
        names.append(f"- [{path.stem.replace('_', ' ')}]({path.name})\n")
        markdown, outputs = rendered(path)
        yield f"notebooks/{path.stem}.md", markdown
        yield from ((f"notebooks/{name}", content) for name, content in outputs.items())
    for path in sorted(NOTEBOOKS.rglob("*")):
        beside = path.relative_to(NOTEBOOKS).as_posix()
        page = path.suffix in (".ipynb", ".py", ".pyc")
        if path.is_file() and not page and "/." not in f"/{beside}":
            yield f"notebooks/{beside}", path.read_bytes()
    if not (NOTEBOOKS / "README.md").exists():
        yield "notebooks/README.md", "# Notebooks\n\n" + "".join(names)


def rendered(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and the pictures of its outputs by their paths beside it."""
    notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    notebook.cells = [cell for cell in notebook.cells if not hidden(cell)]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text" in output:
                output.text = _ANSI.sub("", output.text)
            if html := output.get("data", {}).get("text/html"):  # an empty line would end it
                output.data["text/html"] = re.sub(r"\n\s*\n", "\n", html)
    resources = {"output_files_dir": f"{path.stem}_files"}
    markdown, made = MarkdownExporter().from_notebook_node(notebook, resources)
    return markdown, made["outputs"]


def hidden(cell: Any) -> bool:
    """Whether a cell has a notebook's checks and is not for its readers."""
    tags = set(cell.metadata.get("tags", []))
    return bool(cell.metadata.get("jupyter", {}).get("source_hidden") or tags & _HIDDEN_TAGS)
