"""The commands of docs/tasks/cluster.md that need a bucket, shards or a cluster, against a local S3
server and a Ray cluster of two nodes on this machine, both simulated: `make test-ray`."""

from __future__ import annotations

import json
import os
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

try:
    import moto  # noqa: F401  # started as a process
    import ray
    import webdataset
    from ray.cluster_utils import Cluster
except ImportError as missing:  # said aloud: no other test runs these commands
    warnings.warn(f"the page on clusters is NOT run: {missing.name} is missing", stacklevel=1)
    pytest.skip(f"needs ray, moto, webdataset: {missing.name} is missing", allow_module_level=True)

from tests.buckets import Bucket, s3
from tests.colours import BLUE, GREEN, RED, paint
from tests.program import command
from tests.test_docs_examples import ROOT, examples
from tests.test_embed_command import rows

PAGE = ROOT / "docs" / "tasks" / "cluster.md"


def lines(part: str) -> list[str]:
    """The program's command lines of the one example that contains `part`."""
    (code,) = (code for _, _, code in examples(PAGE) if part in code)
    return [line for line in code.splitlines() if line.startswith("zeroshelf ")]


def run(line: str, *more: str) -> int:
    return command(*shlex.split(line)[1:], *more)


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    with s3(tmp_path / "s3") as bucket:
        for number, colour in enumerate((RED, GREEN, BLUE)):
            picture = paint(tmp_path / "one.jpg", colour).read_bytes()
            bucket.put({f"photos/{number}.jpg": picture})
        yield bucket


def test_from_a_bucket(
    bucket: Bucket, tmp_path: Path, colours: None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    whole, google, endpoint, manifest = lines("gs://bucket")
    uris = [f"s3://bucket/photos/{number}.jpg" for number in range(3)]
    assert run(whole) == 0 and {*rows("s3://bucket/vectors")} == {*uris}
    assert google == "zeroshelf embed gs://bucket/photos --out Vectors"  # there is no such server
    server = os.environ["AWS_ENDPOINT_URL"]
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert run(endpoint.replace("http://127.0.0.1:9000", server)) == 0
    assert {*rows("Vectors")} == {*uris}
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    pq.write_table(pa.table({"uri": uris[:2]}), "manifest.parquet")
    capsys.readouterr()
    assert run(manifest, "--json") == 0
    assert json.loads(capsys.readouterr().out)["embedded"] == 2  # of no known version


def test_shards_that_webdataset_wrote(
    tmp_path: Path, colours: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tars, parquet = lines("{00000..00150}")
    red, blue = (paint(tmp_path / "one.jpg", colour).read_bytes() for colour in (RED, BLUE))
    Path("shards").mkdir()
    with webdataset.ShardWriter("shards/%05d.tar", maxcount=1, verbose=0) as writer:
        for number in range(151):
            writer.write({"__key__": f"{number:09}", "jpg": red, "txt": "red", "json": {"n": 1}})
    assert run(tars) == 0
    assert len(rows("Vectors")) == 151
    images = [{"bytes": red, "path": "a.jpg"}, {"bytes": blue, "path": None}]
    pq.write_table(pa.table({"image": images, "label": [0, 1]}), "train-00000.parquet")
    assert run(parquet) == 0
    found = [row for uri, row in rows("Vectors").items() if "train-00000.parquet#" in uri]
    assert len(found) == 2 and not any(row["error"] for row in found)


def test_on_a_cluster_of_two_nodes(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = lines("RAY_ADDRESS")
    ray.shutdown()
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        nodes.add_node(num_cpus=2)
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        assert run(line) == 0
    finally:
        ray.shutdown()
        nodes.shutdown()
    found = rows("s3://bucket/vectors")
    assert len(found) == 3 and not any(row["error"] for row in found.values())
