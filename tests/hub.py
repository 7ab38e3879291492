"""A hub of one's own: enough of the Hugging Face hub's HTTP API for huggingface_hub to fetch from.

    with Hub(folder) as hub:  # folder/OWNER/NAME/... are the repositories
        monkeypatch.setenv("HF_ENDPOINT", hub.url)

It can lie and fail in the ways in which hubs do: see the attributes.
"""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

COMMIT = "c0ffee" + "0" * 34


class Hub:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.licence = "mit"
        self.extra_names: list[str] = []  # in the listing, whatever is in the folder
        self.wrong_sums: set[str] = set()  # files whose sum in the listing is another's
        self.cut: dict[str, int] = {}  # file: the byte at which the connection ends
        self.cuts = 0  # how often, over all requests; 0: for good
        self.requests: list[tuple[str, str | None]] = []  # path, Range
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Hub:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _listing(self, repo: str) -> bytes:
        root = self.folder / repo
        siblings = []
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            name = file.relative_to(root).as_posix()
            siblings.append(self._sibling(name, file.read_bytes()))
        siblings += [self._sibling(name, b"x") for name in self.extra_names]
        card = {"license": self.licence}
        return json.dumps(
            {"id": repo, "sha": COMMIT, "siblings": siblings, "cardData": card, "tags": []}
        ).encode()

    def _sibling(self, name: str, content: bytes) -> dict[str, object]:
        row: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": "0" * 40}
        if name.endswith((".onnx", ".data", ".safetensors", ".bin")):
            seen = b"another" if name in self.wrong_sums else content
            sha = hashlib.sha256(seen).hexdigest()
            row["lfs"] = {"sha256": sha, "size": len(content), "pointerSize": 134}
        return row

    def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                path = unquote(self.path.partition("?")[0]).strip("/")
                parts = path.split("/")
                if parts[:2] == ["api", "models"] and (hub.folder / "/".join(parts[2:4])).is_dir():
                    self._send(200, hub._listing("/".join(parts[2:4])), {}, body)
                    return
                file = hub.folder / "/".join(parts[:2]) / "/".join(parts[4:])
                if parts[2:3] != ["resolve"] or not file.is_file():
                    self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
                    return
                name, content = "/".join(parts[4:]), file.read_bytes()
                headers = {
                    "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                    "X-Repo-Commit": COMMIT,
                    "Accept-Ranges": "bytes",
                }
                span = self.headers.get("Range")
                if body:
                    hub.requests.append((name, span))
                start = int(span.removeprefix("bytes=").partition("-")[0]) if span else 0
                if span:
                    headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                stop = hub._stop(name, start) if body else None
                self._send(206 if span else 200, content[start:], headers, body, stop)

            def _send(
                self,
                status: int,
                content: bytes,
                headers: dict[str, str],
                body: bool,
                stop: int | None = None,
            ) -> None:
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if body:
                    self.wfile.write(content[:stop])
                    if stop is not None and stop < len(content):
                        self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def _stop(self, name: str, start: int) -> int | None:
        """How many bytes of the answer are sent before the line is cut."""
        if name not in self.cut:
            return None
        left = max(0, self.cut[name] - start)
        if self.cuts:
            self.cuts -= 1
            if self.cuts == 0:
                del self.cut[name]
        return left
