"""The Parquet parts of a dataset: schema, names by content, each uri once."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from zeroshelf.datasets import parts
from zeroshelf.datasets.parts import Row
from zeroshelf.datasets.places import Place, local_path, place
from zeroshelf.errors import UserError

D = 3


def row(uri: str, value: float = 1, etag: str = "1") -> Row:
    return Row(uri, etag, "ab", 4, 3, np.full(D, value, np.float16))


def write(folder: Place, *rows: Row, generation: int = 1) -> str:
    return parts.write_part(folder, parts.table(rows, "model", D, generation))


def read(folder: Place) -> dict[str, float]:
    found = [
        (uri, float(vector[0]))
        for part in parts.read_parts(folder)
        for uri, vector in zip(part["uri"].to_pylist(), parts.vectors(part), strict=True)
    ]
    assert len({uri for uri, _ in found}) == len(found) == parts.count(folder)
    return dict(found)


def test_what_is_written_is_read_in_the_same_schema(tmp_path: Path) -> None:
    here = place(str(tmp_path))
    broken = Row("file:///b.jpg", "2", "cd", error="broken JPEG file")
    name = write(here, row("file:///a.jpg", 0.25), broken)
    (part,) = parts.read_parts(here)
    assert part.schema.equals(parts.schema(D))
    assert [*tmp_path.iterdir()] == [tmp_path / name]
    first, second = part.to_pylist()
    assert first["uri"] == "file:///a.jpg" and first["model"] == "model" and first["width"] == 4
    assert first["embedding"] == [0.25] * D and first["error"] is None
    assert second["embedding"] is None and second["error"] == "broken JPEG file"
    assert parts.vectors(part).tolist() == [[0.25] * D, [0] * D]
    assert parts.vectors(part.slice(1)).tolist() == [[0] * D]
    assert parts.finished(here).to_pydict() == {
        "uri": ["file:///a.jpg", "file:///b.jpg"], "etag": ["1", "2"],
    }  # fmt: skip


def test_duckdb_searches_the_parts(tmp_path: Path) -> None:
    here = place(str(tmp_path))
    write(here, row("a", 0.5), Row("b", "1", error="broken"), row("c", 0.25))
    found = duckdb.execute(
        "SELECT uri, array_inner_product(embedding::FLOAT[3], [1, 2, 3]::FLOAT[3]) "
        f"FROM '{tmp_path}/part-*.parquet' WHERE error IS NULL ORDER BY uri"
    )
    assert found.fetchall() == [("a", 3.0), ("c", 1.5)]


def test_parts_without_any_error_and_with_errors_alone_go_together(tmp_path: Path) -> None:
    here = place(str(tmp_path))
    write(here, row("a"))
    write(here, Row("b", "1", error="broken"))
    assert {part.schema for part in parts.read_parts(here)} == {parts.schema(D)}


def test_the_same_rows_are_one_part(tmp_path: Path) -> None:
    here = place(str(tmp_path))
    assert write(here, row("a")) == write(here, row("a"))
    assert write(here, row("b")) != write(here, row("a"))
    assert len(parts.part_names(here)) == 2


def test_of_two_parts_with_one_uri_the_newer_run_counts(tmp_path: Path) -> None:
    here = place(str(tmp_path))
    write(here, row("a", 1), row("b", 2), generation=1)
    assert parts.next_generation(here) == 2
    write(here, row("c", 5), row("a", 3, "2"), generation=2)
    assert read(here) == {"a": 3, "b": 2, "c": 5}
    etags = parts.finished(here).to_pylist()
    assert {one["uri"]: one["etag"] for one in etags} == {"a": "2", "b": "1", "c": "1"}


def test_of_two_drivers_at_once_every_reader_takes_the_same(tmp_path: Path) -> None:
    here = place(str(tmp_path))
    names = {write(here, row("a", value)): value for value in (1, 2, 3)}
    assert read(here) == {"a": names[min(names)]}


def test_a_picture_that_could_not_be_fetched_is_not_finished(tmp_path: Path) -> None:
    here = place(str(tmp_path))
    write(here, row("a"), Row("b", "1", error=f"{parts.NOT_FETCHED}timeout"))
    assert parts.finished_uris(here) == {"a"}
    write(here, row("b"), generation=2)
    assert parts.finished_uris(here) == {"a", "b"}


def test_other_files_are_no_parts(tmp_path: Path) -> None:
    here = place(str(tmp_path))
    for name in ("part-1.parquet", ".part-" + "0" * 32 + ".parquet.1.tmp", "dataset.json"):
        (tmp_path / name).write_bytes(b"")
    assert parts.part_names(here) == [] and [*parts.read_parts(here)] == []
    assert parts.part_names(here.below("missing")) == []
    assert parts.finished(here).num_rows == 0 and parts.next_generation(here) == 1


def test_a_part_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    here = place(str(tmp_path))
    name = write(here, row("a"))
    (tmp_path / name).write_bytes(b"PAR1")
    with pytest.raises(UserError, match=name):
        read(here)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = place(str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write(here, row("a"))
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", ["a b.jpg", "ä#%.jpg", "x?y.jpg", "odd\udcff.jpg"])
def test_the_uri_of_a_local_file_leads_back_to_it(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    uri = Path(path).as_uri()
    assert "odd" in name or uri == place(path).uri
    assert uri.isascii() and uri.startswith("file:///")
    assert local_path(uri) == path == local_path(path)


def test_a_file_system_of_fsspec() -> None:
    pytest.importorskip("fsspec")
    here = place("memory://zeroshelf-parts/set")
    here.make_folder()
    name = write(here, row("a", 4))
    assert read(here) == {"a": 4}
    assert here.below(name).uri == f"memory:///zeroshelf-parts/set/{name}"
    assert here.names() == [name]


def test_a_folder_that_can_not_be_listed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="can't be listed") as refused:
        parts.part_names(place(str(tmp_path / "file")))
    assert "\n" not in str(refused.value)


def test_a_scheme_that_is_not_known_is_refused() -> None:
    with pytest.raises(UserError, match="nonsense://"):
        place("nonsense://bucket/a")
