"""An object store in a folder of this machine, for fsspec: disk://bucket/key.

It outlives the process, keeps etags that are the content's MD5, makes each object appear as a
whole, and copies without reading through the client. `ZEROSHELF_DISK_STORE` names the folder.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import fsspec
from fsspec.spec import AbstractFileSystem

VARIABLE = "ZEROSHELF_DISK_STORE"


class DiskStore(AbstractFileSystem):  # type: ignore[misc]  # it is untyped
    """One file for each key, whose name is the key, quoted."""

    protocol = ("disk", "s3")  # as a store: nothing is there before it is whole
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return str(path).removeprefix("disk://").rstrip("/")

    def _file(self, path: str) -> Path:
        return Path(os.environ[VARIABLE], quote(self._strip_protocol(path), safe=""))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        file = self._file(path)
        if file.exists():
            return self._told(path, file)
        if any(True for _ in self._below(path)):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def _told(self, path: str, file: Path) -> dict[str, Any]:
        content = file.read_bytes()
        tag = hashlib.md5(content).hexdigest()
        return {"name": path, "size": len(content), "type": "file", "ETag": f'"{tag}"'}

    def _below(self, path: str) -> Iterator[tuple[str, Path]]:
        start = f"{path}/" if path else ""
        for file in sorted(Path(os.environ[VARIABLE]).iterdir()):
            name = unquote(file.name)
            if name.startswith(start) and not file.name.endswith(".part"):
                yield name, file

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        path = self._strip_protocol(path)
        found: dict[str, dict[str, Any]] = {}
        for name, file in self._below(path):
            rest = name[len(path) + 1 :] if path else name
            if "/" in rest:
                folder = f"{path}/" * bool(path) + rest.partition("/")[0]
                found[folder] = {"name": folder, "size": 0, "type": "directory"}
            else:
                found[name] = self._told(name, file)
        if not found and not self._file(path).exists():
            raise FileNotFoundError(path)
        return list(found.values()) if detail else list(found)

    def find(self, path: str, detail: bool = False, **_: Any) -> Any:
        found = {n: self._told(n, f) for n, f in self._below(self._strip_protocol(path))}
        return found if detail else list(found)

    def _write(self, path: str, content: bytes) -> None:
        file = self._file(path)
        part = file.with_name(f"{uuid.uuid4().hex}.part")
        part.write_bytes(content)
        os.replace(part, file)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        file = self._file(path2)
        part = file.with_name(f"{uuid.uuid4().hex}.part")
        shutil.copyfile(self._file(path1), part)
        os.replace(part, file)

    def rm_file(self, path: str) -> None:
        self._file(path).unlink()

    _rm = rm_file

    def mkdir(self, path: str, *_: Any, **__: Any) -> None:
        return

    makedirs = mkdir

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        if mode == "rb":
            return io.BytesIO(self._file(path).read_bytes())
        return _Written(self, path)


class _Written(io.BytesIO):
    def __init__(self, store: DiskStore, path: str) -> None:
        super().__init__()
        self._store, self._path = store, path

    def close(self) -> None:
        if not self.closed:
            self._store._write(self._path, self.getvalue())
        super().close()


@contextmanager
def serving(folder: Path) -> Iterator[DiskStore]:
    """The store in `folder`, for this process and for those that it starts and that call
    `register`."""
    folder.mkdir(exist_ok=True)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    register()
    try:
        yield DiskStore()
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def register() -> None:
    fsspec.register_implementation("disk", DiskStore, clobber=True)
