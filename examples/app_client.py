"""Sort a folder through the HTTP API of `zeroshelf app`, with nothing but Python.

    zeroshelf app --no-open            # prints the address, in another terminal
    python examples/app_client.py ADDRESS FOLDER cat dog sunset

It opens the folder, reads its pictures, sorts them by the labels and makes the plan, which it
prints. With --apply it carries the plan out (copies) and says how to take it back. /openapi.json
below the address describes every request.
"""

from __future__ import annotations

import argparse
import json
import time
import urllib.request
from typing import Any


class Client:
    """The app at `address`, which has its token in it."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/") + "/"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self._address + path) as answer:
            return json.load(answer)

    def post(self, path: str, fields: dict[str, object] | None = None) -> Any:
        request = urllib.request.Request(self._address + path, json.dumps(fields or {}).encode())
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def wait(self, kind: str) -> str:
        """Return the result of a job when it is done. Ends the program where it failed."""
        while (job := self.get("state")["jobs"][kind])["state"] == "running":
            print(f"\r{job['stage']} {job['done']}/{job['total']}    ", end="", flush=True)
            time.sleep(0.2)
        print()
        if job["state"] != "done":
            raise SystemExit(f"{kind}: {job['error'] or job['state']}")
        return str(job["result"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Sort a folder through zeroshelf's app.")
    parser.add_argument("address")
    parser.add_argument("folder")
    parser.add_argument("labels", nargs="+")
    parser.add_argument("--apply", action="store_true")
    given = parser.parse_args()

    app = Client(given.address)
    app.post("open", {"path": given.folder})
    app.wait("look")
    app.post("read")
    app.wait("read")
    sorted_ = app.post("labels", {"labels": {label: [] for label in given.labels}})
    for shelf in [*sorted_["labels"], sorted_["other"]]:
        print(f"{shelf['count']:6,} {shelf['name']}")
    app.post("plan", {"action": "copy"})
    run = app.wait("plan")
    plan = app.get(f"runs/{run}")
    print(f"run {run}: {plan['pictures']:,} pictures to {plan['destination']}")
    if given.apply:
        app.post(f"runs/{run}/apply")
        app.wait("apply")
        print(f"done; POST runs/{run}/undo puts everything back")


if __name__ == "__main__":
    main()
