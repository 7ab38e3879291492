"""Tags as the programs read them for which they are written: exiftool, exiv2, darktable, digiKam.

    apt-get install --no-install-recommends libimage-exiftool-perl exiv2 darktable digikam xvfb dbus
    python -m benchmarks.tag_readers

Pictures with and without keywords of their own are tagged, into sidecars and into the files, and
opened in each program with a home of its own: darktable and digiKam import them into a new library,
which is then read. Each must show the tags with their levels, and the picture's own keywords; after
`untag`, the own keywords alone. A program that is not installed is named and passed over.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from tests.colours import BLUE, RED, ColourEncoder, paint
from zeroshelf.labels import parse
from zeroshelf.records import Outcome
from zeroshelf.run import classify

Shown: TypeAlias = Mapping[str, set[str]]  # name of the picture -> its tags, "/" between levels
Reader: TypeAlias = Callable[[Path, Path], Shown]

LABELS = {"animals/red cat": ["red"], "Köln/Straße & Co": ["blue"]}
NAMES = {
    "a.jpg": RED,
    "b.png": BLUE,
    "c.tif": RED,
    "ü 4.jpg": BLUE,
    "own.jpg": RED,
    "side.jpg": RED,
}
OWN = {"own.jpg": {"holiday", "Places/Rome"}, "side.jpg": {"Places/Oslo"}}
_SIDECAR = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"><lr:hierarchicalSubject>
<rdf:Bag><rdf:li>Places|Oslo</rdf:li></rdf:Bag></lr:hierarchicalSubject></rdf:Description>
</rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
HANG = 240.0  # seconds for digiKam to read a few pictures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*", default=list(READERS), metavar="PROGRAM")
    programs = parser.parse_args().programs
    failed = False
    with tempfile.TemporaryDirectory() as home:
        os.environ["ZEROSHELF_RUNS"] = os.path.join(home, "runs")
        os.environ["ZEROSHELF_CACHE"] = os.path.join(home, "cache")
        for program in programs:
            reader, version = READERS[program]
            if not shutil.which(version[0]):
                print(f"NOT CHECKED  {program}: not installed", flush=True)
                continue
            told = subprocess.run(
                version,
                env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
                capture_output=True,
                text=True,
                check=False,
            ).stdout
            print(f"{program}: {told.splitlines()[0] if told else '?'}", flush=True)
            for in_files in (False, True):
                if in_files and not shutil.which("exiftool"):
                    print("NOT CHECKED  in files: exiftool is not installed")
                    continue
                where = Path(home, f"{program}-{in_files}")
                for step, wrong in check(reader, where, in_files):
                    failed |= bool(wrong)
                    place = "in the files" if in_files else "in sidecars"
                    print(f"  {place}, {step}: {wrong or 'all as written'}", flush=True)
    return 1 if failed else 0


def check(reader: Reader, where: Path, in_files: bool) -> Iterator[tuple[str, str]]:
    """Tag, read, untag, read: each step, and what is wrong after it."""
    folder = where / "pictures"
    _make(folder)
    run = classify(folder, parse.parse(LABELS), encoder=ColourEncoder())
    expected = {
        decision.picture.path.rpartition(os.sep)[2]: {f"zeroshelf/{decision.label}"}
        for decision in run
    }
    assert len(expected) == len(NAMES)
    _carry_out(run.apply(run.plan(action="tag", in_files=in_files)))
    tagged = {name: tags | OWN.get(name, set()) for name, tags in expected.items()}
    yield "after tag", _compare(reader(folder, where / "first"), tagged)
    _carry_out(run.apply(run.plan(action="untag", in_files=in_files)))
    untagged = {name: OWN.get(name, set()) for name in NAMES}
    yield "after untag", _compare(reader(folder, where / "second"), untagged)


def _make(folder: Path) -> None:
    """Pictures, of which two have keywords: in the file, and in a sidecar as of Lightroom."""
    for number, (name, colour) in enumerate(NAMES.items()):
        # digiKam gives a file with the content of another one the tags of that one.
        paint(folder / name, colour, (64 + number, 48))
    if shutil.which("exiftool"):
        words = ["-XMP-lr:HierarchicalSubject=Places|Rome", "-XMP-dc:Subject=holiday"]
        words += ["-XMP-dc:Subject=Places|Rome", "-XMP-lr:HierarchicalSubject=holiday"]
        subprocess.run(
            ["exiftool", "-q", "-overwrite_original", *words, folder / "own.jpg"], check=True
        )
    (folder / "side.jpg.xmp").write_bytes(_SIDECAR)


def _carry_out(outcomes: list[Outcome]) -> None:
    bad = [one for one in outcomes if one.status != "done"]
    assert not bad, bad


def _compare(shown: Shown, expected: Shown) -> str:
    wrong = []
    for name, tags in expected.items():
        found = shown.get(name, set())
        if missing := tags - found:
            wrong.append(f"{name} lacks {sorted(missing)}, shows {sorted(found)}")
        if left := {tag for tag in found if tag.startswith("zeroshelf") and tag not in tags}:
            wrong.append(f"{name} shows {sorted(left)}")
    return "; ".join(wrong)


# --- the programs ---------------------------------------------------------------------------------


def by_exiftool(folder: Path, home: Path) -> Shown:
    words = ["-j", "-struct", "-XMP-lr:HierarchicalSubject", "-XMP-digiKam:TagsList"]
    told = subprocess.run(
        ["exiftool", *words, folder], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, set[str]] = {}
    sidecars = subprocess.run(
        ["exiftool", *words, "-ext", "xmp", folder], capture_output=True, text=True, check=False
    ).stdout
    for one in (*json.loads(told), *json.loads(sidecars or "[]")):
        tags = found.setdefault(Path(one["SourceFile"]).name.removesuffix(".xmp"), set())
        for key in ("HierarchicalSubject", "TagsList"):
            each = one.get(key, [])
            tags |= {str(t).replace("|", "/") for t in (each if isinstance(each, list) else [each])}
    return found


def by_exiv2(folder: Path, home: Path) -> Shown:
    found: dict[str, set[str]] = {}
    for path in folder.iterdir():
        if path.suffix == ".jpg_original":
            continue
        words = ["-K", "Xmp.lr.hierarchicalSubject", "-K", "Xmp.digiKam.TagsList", "-Pv"]
        told = subprocess.run(["exiv2", *words, path], capture_output=True, text=True, check=False)
        assert "Error" not in told.stderr, (path, told.stderr)
        tags = found.setdefault(path.name.removesuffix(".xmp"), set())
        for line in told.stdout.splitlines():
            tags |= {tag.replace("|", "/") for tag in line.split(", ") if tag}
    return found


def by_darktable(folder: Path, home: Path) -> Shown:
    home.mkdir(parents=True)
    for name in NAMES:
        words = [str(folder / name), str(home / f"{name}.out.jpg"), "--core", "--disable-opencl"]
        for option in ("config", "cache"):
            words += [f"--{option}dir", str(home / option)]
        words += ["--library", str(home / "library.db")]
        subprocess.run(["darktable-cli", *words], check=True, capture_output=True)
    with contextlib.closing(sqlite3.connect(home / "library.db")) as library:
        library.execute("ATTACH ? AS data", (str(home / "config" / "data.db"),))
        rows = library.execute(
            "SELECT filename, name FROM main.images, main.tagged_images, data.tags "
            "WHERE main.images.id = imgid AND data.tags.id = tagid"
        ).fetchall()
    return _gathered((name, tag.replace("|", "/")) for name, tag in rows)


def by_digikam(folder: Path, home: Path) -> Shown:
    """digiKam has no command line: it is started on a screen that isn't there, makes its database,
    is given the folder as a collection, and is ended once it has read it."""
    for name in ("config", "data", "cache", "home", "db"):
        (home / name).mkdir(parents=True)
    (home / "run").mkdir(mode=0o700)
    databases = ("", " Face", " Similarity", " Thumbnails")
    places = "".join(f"Database Name{which}={home}/db/\n" for which in databases)
    (home / "config" / "digikamrc").write_text(
        "[General Settings]\nVersion=7.9.0\n\n"
        f"[Database Settings]\nDatabase Type=QSQLITE\n{places}"
        "Internal Database Server=false\n\n[Album Settings]\nShow Splash=false\n\n"
        "[Metadata Settings]\nUse XMP Sidecar For Reading=true\n",
        encoding="utf-8",
    )
    with _digikam(home, "offscreen"):
        _until(lambda: bool(_rows(home, "SELECT 1 FROM Settings WHERE keyword = 'Locale'")))
        time.sleep(5)  # it goes on writing its tables
    with contextlib.closing(sqlite3.connect(home / "db" / "digikam4.db")) as database, database:
        database.execute(
            "INSERT INTO AlbumRoots (label, status, type, identifier, specificPath) "
            "VALUES ('check', 0, 1, ?, '/')",
            (f"volumeid:?path={folder}",),
        )
    count = "SELECT count(*) FROM Images"
    with _digikam(home, "xcb"):  # the rest of its start needs a screen with OpenGL
        _until(lambda: _rows(home, count) == [(len(NAMES),)])
        time.sleep(15)  # the last picture's tags come after the picture
    tags = {id: (above, name) for id, above, name in _rows(home, "SELECT id, pid, name FROM Tags")}

    def path(id: int) -> str:
        above, name = tags[id]
        return f"{path(above)}/{name}" if above > 0 else name

    query = "SELECT name, tagid FROM Images, ImageTags WHERE Images.id = ImageTags.imageid"
    return _gathered((name, path(tag)) for name, tag in _rows(home, query))


@contextlib.contextmanager
def _digikam(home: Path, platform: str) -> Iterator[None]:
    environment = os.environ | {
        "HOME": str(home / "home"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "QT_QPA_PLATFORM": platform,
        "QTWEBENGINE_DISABLE_SANDBOX": "1",  # else it refuses to start in a container
        "LIBGL_ALWAYS_SOFTWARE": "1",
    }
    words = ["xvfb-run", "-a", "-s", "-screen 0 1280x900x24", "dbus-run-session", "--", "digikam"]
    words += ["--database-directory", str(home / "db")]
    process = subprocess.Popen(
        words,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query of digiKam's database finds; nothing before there is such a table."""
    path = home / "db" / "digikam4.db"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        try:
            return database.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + HANG
    while not is_so():
        assert time.monotonic() < end, "digiKam has not read the pictures"
        time.sleep(1)


def _gathered(rows: Iterator[tuple[str, str]]) -> Shown:
    found: dict[str, set[str]] = {}
    for name, tag in rows:
        found.setdefault(name, set()).add(tag)
    return found


READERS: Mapping[str, tuple[Reader, list[str]]] = {
    "exiftool": (by_exiftool, ["exiftool", "-ver"]),
    "exiv2": (by_exiv2, ["exiv2", "--version"]),
    "darktable": (by_darktable, ["darktable-cli", "--version"]),
    "digiKam": (by_digikam, ["digikam", "--version"]),
}

if __name__ == "__main__":
    sys.exit(main())
