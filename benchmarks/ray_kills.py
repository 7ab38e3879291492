"""What a kill costs: python -m benchmarks.ray_kills [--pictures 5000] [--kills 20] [--model tiny]
[--rows 64] [--log FILE]

Pictures lie on a local S3 server (moto). Each trial makes a new dataset with Ray and two actors: at
a random instant one actor is killed with SIGKILL, at another one the driver; then the same command
runs again until it ends. The trial passes if

    each uri is there exactly once, in the dataset as every reader sees it,
    each row has the digest and, bit by bit, the vector of a single process without Ray,
    nothing was fetched again that lay in a part when the kill came,
    and at most as many pictures were fetched twice as can be in flight.

With --log each trial's result is a line of that file, and a second start goes on behind the last:
each trial has instants of its own, whatever ran before it.

The server's log counts the fetches. Needs zeroshelf[ray] and moto[server]. Linux only: it looks for
the actors in /proc. Everything here is simulated on one machine: the "cluster" is Ray on this one.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests import tiny
from tests.s3_server import S3Server
from zeroshelf.datasets import parts
from zeroshelf.datasets.places import Place, place

ACTORS = 2
STARTS = 4  # of one command, at most
ROWS = 16  # of a part
# How many pictures one actor has fetched or embedded, and not written, when it is killed.
IN_FLIGHT = ROWS


@dataclass(frozen=True)
class Cluster:
    """What a trial is run with."""

    server: S3Server
    model: str
    source: str
    rows: int

    def command(self, out: str, engine: str) -> list[str]:
        asked = ["embed", self.source, "--out", out, "--model", self.model, "--quiet"]
        if engine == "ray":
            asked += ["--engine", "ray", "--workers", str(ACTORS)]
        return [sys.executable, "-m", "zeroshelf", *asked, "--rows", str(self.rows)]

    def run(self, out: str, engine: str) -> int:
        """Run the command until it ends well; how often it did not. On a busy machine Ray may not
        start in time."""
        for failed in range(STARTS):
            command, last = self.command(out, engine), failed == STARTS - 1
            if not subprocess.run(command, check=last, stdout=subprocess.DEVNULL).returncode:
                return failed
        raise AssertionError("`check` raises")

    def start(self, out: str) -> subprocess.Popen[bytes]:
        """A driver in a session of its own, so that its processes are found."""
        return subprocess.Popen(
            self.command(out, "ray"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def picture(number: int) -> bytes:
    """A small JPEG of its own."""
    random_pixels = np.random.default_rng(number)
    coarse = random_pixels.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((64, 48)).save(file, "JPEG", quality=85)
    return file.getvalue()


def rows_of(folder: Place) -> dict[str, tuple[str, bytes]]:
    """uri -> digest and the vector's bytes. Fails where a uri is there twice."""
    found: dict[str, tuple[str, bytes]] = {}
    for part in parts.read_parts(folder):
        vectors = parts.vectors(part)
        for row, uri in enumerate(part["uri"].to_pylist()):
            assert uri not in found, f"{uri} is there twice"
            found[uri] = (part["digest"][row].as_py(), vectors[row].tobytes())
    return found


def session_of(driver: int) -> dict[int, str]:
    """The live processes of the driver's session: id -> command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(words[3]) == driver and words[0] != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # it ended meanwhile
    return found


def wait_for_parts(folder: Place, count: int, driver: subprocess.Popen[bytes]) -> bool:
    """Whether there are so many parts before the driver ends."""
    while len(parts.part_names(folder)) < count:
        if driver.poll() is not None:
            return False
        time.sleep(0.05)
    return True


def end(session: int) -> None:
    """What is left of a killed driver's session: Ray ends it by itself, after some seconds."""
    for _ in range(200):
        if not session_of(session):
            return
        time.sleep(0.1)
    for process in session_of(session):
        os.kill(process, signal.SIGKILL)


def trial(
    cluster: Cluster, out: str, chance: random.Random, wanted: dict[str, tuple[str, bytes]]
) -> dict[str, int]:
    folder = place(out)
    total = -(-len(wanted) // cluster.rows)
    first, second = sorted(chance.sample(range(1, total), 2))
    start = cluster.server.position()
    driver = cluster.start(out)
    kills, finished = 0, []
    for at in (first, second):
        if not wait_for_parts(folder, at, driver):
            break
        time.sleep(chance.random() * 0.3)  # anywhere in a part
        finished.append((cluster.server.position(), parts.finished_uris(folder)))
        if at == second:
            os.kill(driver.pid, signal.SIGKILL)
            kills += 1
            break
        actors = [id for id, line in session_of(driver.pid).items() if "ray::MapWorker" in line]
        if actors:
            os.kill(chance.choice(actors), signal.SIGKILL)
            kills += 1
    driver.wait()
    end(driver.pid)
    there = len(parts.finished_uris(folder))
    failed = cluster.run(out, "ray")
    fetched = cluster.server.fetched(start)
    twice = sum(fetched[uri.removeprefix("s3://")] - 1 for uri in wanted)
    for position, done in finished:
        after = cluster.server.fetched(position)
        again = [uri for uri in done if after[uri.removeprefix("s3://")]]
        assert not again, f"fetched again though it was finished: {again[:3]}"
    assert rows_of(folder) == wanted
    assert 0 <= twice <= (1 + ACTORS) * (cluster.rows + IN_FLIGHT), twice
    told = {"kills": kills, "there at the resume": there, "fetched twice": twice}
    return told | ({"starts of Ray that failed": failed} if failed else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=20, help="trials, each with two kills")
    parser.add_argument("--model", default="starter", help='"tiny": made for this, ends at once')
    parser.add_argument("--rows", type=int, default=ROWS, help="of a part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="one JSON line a trial; goes on where it ends")
    given = parser.parse_args()
    log = given.log
    before = log.read_text().splitlines() if log and log.exists() else []
    with tempfile.TemporaryDirectory() as folder, S3Server(Path(folder)) as server:
        os.environ |= server.environment
        model = given.model
        if model == "tiny":
            model = str(tiny.immich(Path(folder) / "tiny", logit_scale=100.0))
        server.put("pictures", {f"{n:06}.jpg": picture(n) for n in range(given.pictures)})
        cluster = Cluster(server, model, "s3://pictures", given.rows)
        cluster.run(str(Path(folder) / "alone"), "local")
        wanted = rows_of(place(str(Path(folder) / "alone")))
        assert len(wanted) == given.pictures
        print(
            f"{given.pictures:,} pictures, {ACTORS} actors, parts of {given.rows} rows", flush=True
        )
        server.put("vectors", {})
        for number in range(len(before), given.kills):
            out = f"s3://vectors/{number}" if number % 2 else str(Path(folder) / str(number))
            chance = random.Random(f"{given.seed} {number}")
            began = time.monotonic()
            result = trial(cluster, out, chance, wanted)
            line = json.dumps({"trial": number, **result, "seconds": int(time.monotonic() - began)})
            print(line, flush=True)
            if log:
                with log.open("a") as file:
                    file.write(line + "\n")
    print("each uri exactly once, bit-equal, nothing finished was fetched again")


if __name__ == "__main__":
    main()
