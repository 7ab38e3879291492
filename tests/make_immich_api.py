"""Make tests/fixtures/immich_api.json: the part of Immich's published API that zeroshelf uses.

    python -m tests.make_immich_api

needs npm, pip and their registries. Immich publishes its OpenAPI file as a generated client,
`@immich/sdk`, a package for each version: paths, methods, fields, types and values of enums come
from there. What that client leaves out, which strings are UUIDs and which status an answer has,
comes from `immichpy`, generated from the same file. Only these facts are kept, in a form of our
own; no text and no code of either.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "fixtures" / "immich_api.json"
VERSIONS = {  # of Immich, and the immichpy that was made for the nearest version
    "2.2.3": "4.0.0",
    "2.7.5": "4.0.0",
    "3.0.0": "6.0.0",
    "3.2.2": "9.2.4",
}
OPERATIONS = [
    "getServerVersion", "checkBulkUpload", "upsertTags", "tagAssets", "untagAssets",
    "getAllAlbums", "createAlbum", "getAlbumInfo", "deleteAlbum", "addAssetsToAlbum",
    "removeAssetFromAlbum",
]  # fmt: skip
LEFT_OUT: dict[str, dict[str, str]] = {
    "AssetResponseDto": {}
}  # a large type that an answer has and zeroshelf doesn't read


def main() -> None:
    found: dict[str, Any] = {
        "about": "Facts of Immich's published API; made by tests/make_immich_api.py",
        "sources": {},
        "versions": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        for version, python in VERSIONS.items():
            sdk, generated = _sdk(Path(folder), version), _immichpy(Path(folder), python)
            document = re.search(r"OpenAPI document: ([\d.]+)", generated.text("tags_api.py"))
            assert document is not None
            found["sources"][version] = [
                f"npm: @immich/sdk {version}, AGPL-3.0",
                f"PyPI: immichpy {python}, MIT, of Immich {document[1]}",
            ]
            found["versions"][version] = _api(*sdk, generated)
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _sdk(folder: Path, version: str) -> tuple[str, str]:
    """The published client's declarations and its code."""
    words = ["npm", "pack", "--silent", f"@immich/sdk@{version}"]
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(folder / f"immich-sdk-{version}.tgz") as file:
        files = [file.extractfile(f"package/build/fetch-client{end}") for end in (".d.ts", ".js")]
        declared, code = (each.read().decode() for each in files if each is not None)
    assert f"* {version}\n" in code, "the version that the client was made from"
    return re.sub(r"/\*.*?\*/", "", declared, flags=re.DOTALL), code


class _Generated:
    """The files of an immichpy that were generated."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def text(self, name: str) -> str:
        (path,) = (n for n in self._file.namelist() if n.endswith(f"/{name}"))
        return self._file.read(path).decode()

    def uuids(self, type_: str) -> set[str]:
        """The fields of a type that are UUIDs or lists of them."""
        found = set()
        text = self.text(f"{_snake(type_)}.py").partition("__properties")[0]
        for field in re.split(r"\n    (?=\w+: )", text):
            if "UUID" in field.partition("=")[0]:
                alias = re.search(r'alias="(\w+)"', field)
                found.add(alias[1] if alias else field.partition(":")[0].strip())
        return found

    def operation(self, name: str) -> tuple[set[str], int]:
        """The parameters that are UUIDs, and the status of an answer."""
        for api in ("tags_api.py", "albums_api.py", "server_api.py", "assets_api.py"):
            _, there, rest = self.text(api).partition(f"async def {_snake(name)}(")
            if there:
                signature = rest.partition("_request_timeout")[0]
                one = r"(?:^|\n        )(\w+): ((?:.|\n            |\n        \])*)"
                each = re.findall(one, signature)
                status = re.search(r"_response_types_map[^{]*\{\s*\"(2\d\d)\"", rest)
                assert status is not None
                return {name for name, type_ in each if "UUID" in type_}, int(status[1])
        raise LookupError(name)


def _immichpy(folder: Path, version: str) -> _Generated:
    to = folder / f"immichpy-{version}"
    words = [
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--python-version",
        "3.13",
    ]
    words += ["-d", str(to), f"immichpy=={version}"]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    (path,) = to.glob("*.whl")
    return _Generated(zipfile.ZipFile(path))


def _api(declared: str, code: str, generated: _Generated) -> dict[str, Any]:
    operations, types, wanted = {}, dict[str, Any](LEFT_OUT), list[str]()
    for name in OPERATIONS:
        what, operation = _operation(name, declared, code, generated)
        operations[what] = operation
        wanted += _names(operation["body"] or "") + _names(operation["answer"] or "")
    while wanted:
        name = wanted.pop()
        if name not in types:
            types[name] = _type(name, declared, generated)
            if isinstance(types[name], dict):
                wanted += [each for field in types[name].values() for each in _names(field)]
    return {"operations": operations, "types": dict(sorted(types.items()))}


def _operation(
    name: str, declared: str, code: str, generated: _Generated
) -> tuple[str, dict[str, Any]]:
    body = re.search(rf"^export function {name}\(.*?^\}}", code, re.DOTALL | re.MULTILINE)
    head = re.search(
        rf"^export declare function {name}\((?:\{{.*?\}}: (\{{.*?^\}}), )?opts.*?: Promise<(.*?)>;",
        declared,
        re.DOTALL | re.MULTILINE,
    )
    assert body and head
    path = re.search(r"fetch(?:Json|Text)\([\"`]([^\"`$]*(?:\$\{encode[^}]*\}[^\"`$]*)*)", body[0])
    method = re.search(r'method: "(\w+)"', body[0])
    assert path
    given = _fields(head[1] or "")
    uuids, status = generated.operation(name)
    in_path = re.findall(r"encodeURIComponent\((\w+)\)", path[1])
    bodies = [type_ for field, type_ in given.items() if field.lower() == type_.lower()]
    query = {
        field: "uuid" if _snake(field.rstrip("?")) in uuids else type_
        for field, type_ in given.items()
        if field not in in_path and type_ not in bodies
    }
    template = re.sub(r"\$\{encodeURIComponent\((\w+)\)\}", r"{\1}", path[1])
    return f"{method[1] if method else 'GET'} {template}", {
        "query": query,
        "body": bodies[0] if bodies else None,
        "answer": None if status == 204 else head[2],
        "status": status,
    }


def _type(name: str, declared: str, generated: _Generated) -> dict[str, str] | list[str]:
    """The fields of a type, or the values of an enum."""
    block = re.DOTALL | re.MULTILINE
    enum = re.search(rf"^export declare enum {name} \{{(.*?)^\}}", declared, block)
    if enum is not None:
        return re.findall(r'= "([^"]*)"', enum[1])
    fields = re.search(rf"^export type {name} = (\{{.*?^\}});", declared, block)
    assert fields, name
    uuids = generated.uuids(name)
    return {
        field: type_.replace("string", "uuid") if field.rstrip("?") in uuids else type_
        for field, type_ in _fields(fields[1]).items()
    }


def _fields(block: str) -> dict[str, str]:
    """Name, with "?" where it may be missing -> type."""
    return dict(re.findall(r"^    (\w+\??): (.*?);$", block, re.MULTILINE))


def _names(type_: str) -> list[str]:
    return re.findall(r"\b[A-Z]\w+", type_)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


if __name__ == "__main__":
    main()
