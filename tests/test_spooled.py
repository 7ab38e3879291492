"""Sequences that lie in a temporary file: they read like the tuple of the same records."""

from __future__ import annotations

import copy
import os
import pickle
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroshelf.errors import UserError
from zeroshelf.images import scan
from zeroshelf.records import Action, Picture
from zeroshelf.system import path_spelling, spooled

TEXTS = st.text(st.sampled_from("a/\u00e4\n\udcff\U0001f600"), max_size=4)
PICTURES = st.builds(
    Picture,
    TEXTS,
    TEXTS,
    st.integers(0, 2**63),
    st.integers(-(2**63), 2**63),
    st.integers(0, 9),
    st.lists(TEXTS, max_size=2).map(tuple),
)


def pictures(count: int) -> tuple[Picture, ...]:
    return tuple(
        Picture(f"/p/{n}\udcff.jpg", "JPEG", n, -n, n, ("/p/a.xmp",)) for n in range(count)
    )


@given(st.lists(PICTURES, max_size=9), st.sampled_from([1, 200, 10**6]), st.data())
def test_it_reads_like_a_tuple(given: list[Picture], most: int, data: st.DataObject) -> None:
    kept, wanted = spooled.records(Picture, given, most=most), tuple(given)
    assert kept == wanted and wanted == kept and tuple(kept) == wanted and len(kept) == len(wanted)
    assert tuple(reversed(kept)) == wanted[::-1] and hash(kept) == hash(wanted)
    assert repr(kept) == repr(wanted) and kept != (*wanted, None)
    start, end = (data.draw(st.integers(-10, 10)) for _ in range(2))
    assert kept[start:end] == wanted[start:end]
    if -len(wanted) <= start < len(wanted):
        assert kept[start] == wanted[start]
    else:
        with pytest.raises(IndexError):
            kept[start]
    more = Picture("/last", "PNG", 1, 2, 3)
    kept.append(more)
    assert kept == (*wanted, more) and kept == spooled.records(Picture, kept, most=most)


def test_copies_are_tuples_and_need_no_file() -> None:
    kept = spooled.records(Picture, pictures(300), most=1000)
    for other in (pickle.loads(pickle.dumps(kept)), copy.deepcopy(kept)):
        assert type(other) is tuple and other == pictures(300)


def test_records_with_bytes_and_none_stay_what_they_are() -> None:
    wanted = (
        Action("copy", "/a", "/b", "cat", 1, 2, b"\x00\xff", None),
        Action("remove", "/a", "/b", "cat", 1, 2, None, "/c", "copy", "run", "x\ny", "etag"),
    )
    assert tuple(spooled.records(Action, wanted, most=1)) == wanted


def test_threads_read_it_at_the_same_time() -> None:
    kept, wanted = spooled.records(Picture, pictures(3000), most=5000), pictures(3000)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: kept == wanted and tuple(kept[::7]) == wanted[::7], range(8)))


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_forked_process_reads_it_at_the_same_time() -> None:
    kept, wanted = spooled.records(Picture, pictures(3000), most=5000), pictures(3000)
    child = os.fork()
    if not child:
        os._exit(0 if kept == wanted else 1)
    assert kept == wanted
    assert os.waitpid(child, 0)[1] == 0


def test_the_file_is_in_the_cache_and_never_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    real = tempfile.TemporaryFile

    def temporary(*args: object, **kwargs: object) -> object:
        made.append(kwargs.get("dir"))
        return real(*args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setenv("ZEROSHELF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "TemporaryFile", temporary)
    kept = spooled.records(Picture, pictures(100))
    assert not made and not (tmp_path / "cache").exists()  # few are kept in memory
    kept = spooled.records(Picture, pictures(100), most=1000)
    assert made == [str(tmp_path / "cache")] and kept == pictures(100)
    if os.name == "posix":
        assert not os.listdir(tmp_path / "cache")


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    with pytest.raises(UserError, match=r"temporary file \(No space left on device\): make room"):
        spooled.records(Picture, pictures(100), most=1000)


@given(
    st.lists(
        st.lists(
            st.sampled_from(["a", "a!", "a.b", "a0", "A", "\u00e4", "b"]), min_size=1, max_size=4
        ),
        max_size=12,
    )
)
def test_a_scan_gives_the_pictures_in_the_order_of_their_paths(paths: list[list[str]]) -> None:
    """Also where a folder's pictures lie around those of the folders in it."""
    with tempfile.TemporaryDirectory() as root:
        for parts in paths:
            path = Path(root, *parts)
            path.mkdir(parents=True, exist_ok=True)
            for name in ("0.jpg", "a.jpg", "a-.jpg", "\u00e4.jpg", "z.jpg"):
                path.joinpath(name).write_bytes(b"\xff\xd8\xff" + name.encode())
        found = [one.path for one in scan.scan(root).pictures]
        there = [str(path) for path in Path(root).rglob("*.jpg")]
        assert found == sorted(there, key=path_spelling.in_order) == sorted(there, key=os.fsencode)
