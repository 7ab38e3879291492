"""What S3 alone has: conditions of a copy, versions, etags that are no hash. `make test-ray`."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import Any

import pytest

try:
    import boto3
    import moto  # noqa: F401  # started as a process
except ImportError as missing:  # said aloud: no other test speaks to S3
    warnings.warn(f"copies within S3 are NOT tested: {missing.name} is missing", stacklevel=1)
    pytest.skip(f"needs boto3 and moto: {missing.name} is missing", allow_module_level=True)

from botocore.exceptions import ClientError

import zeroshelf
from tests.buckets import Bucket, s3
from tests.colours import RED, ColourEncoder
from tests.known import DEMO
from tests.program import command
from tests.test_docs_examples import examples
from tests.test_store_kills import planned
from tests.test_store_plan import PICTURES
from zeroshelf.actions import apply, journal, undo
from zeroshelf.actions.on_store import objects
from zeroshelf.actions.on_store.s3 import S3
from zeroshelf.errors import UserError
from zeroshelf.runs import registry

KEYS = {"in/a b+ü.jpg": b"1", "in/%41.jpg": b"2", "in/a?versionId=1.jpg": b"3", "in/é#.jpg": b"4"}


def statuses(outcomes: list[Any]) -> set[str]:
    return {one.status for one in outcomes}


def test_a_copy_is_made_under_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def answering(self: S3, source: str, target: str, found: objects.Found) -> None:
        self._client.meta.events.register("before-call.s3.CopyObject", note)
        copy(self, source, target, found)

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.append(params["headers"])

    copy = S3.copy
    monkeypatch.setattr(S3, "copy", answering)
    with s3(tmp_path / "s3") as bucket:
        bucket.put({"in/a.jpg": b"1"})
        assert statuses(apply.apply(planned(bucket, {"in/a.jpg": b"1"}))) == {"done"}
    assert asked and asked[0]["If-None-Match"] == "*"
    tag = '"c4ca4238a0b923820dcc509a6f75849b"'
    assert asked[0]["x-amz-copy-source-if-match"] == tag


@pytest.mark.parametrize(("retries", "status"), [(0, "refused"), (1, "done")])
def test_the_store_says_that_the_target_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retries: int, status: str
) -> None:
    """Of somebody else, or of the first request of two."""

    def made_meanwhile(client: Any, target: str) -> None:
        client.put_object(Bucket="bucket", Key=target.partition("bucket/")[2], Body=b"1")

    def copy(self: S3, source: str, target: str, found: objects.Found) -> None:
        made_meanwhile(self._client, target)
        told = {
            "Error": {"Code": "PreconditionFailed"},
            "ResponseMetadata": {"RetryAttempts": retries},
        }
        with self._errors(source, target):
            raise ClientError(told, "CopyObject")

    monkeypatch.setattr(S3, "copy", copy)
    with s3(tmp_path / "s3") as bucket:
        bucket.put({"in/a.jpg": b"1"})
        record = planned(bucket, {"in/a.jpg": b"1"})
        assert statuses(apply.apply(record)) == {status}
        undo.undo(record)
        there = bucket.objects()
        assert there.pop("in/a.jpg") == b"1"
        assert bool(there) == (status == "refused")  # what is not ours stays


def test_a_server_that_knows_no_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(params: dict[str, Any], **_: Any) -> None:
        if {"If-None-Match", "If-Match"} & {*params["headers"]}:
            refused.append(params["headers"])
            raise ClientError({"Error": {"Code": "NotImplemented"}}, "CopyObject")

    def opened(self: S3, endpoint: str | None = None) -> None:
        init(self, endpoint)
        for name in ("CopyObject", "DeleteObject"):
            self._client.meta.events.register(f"before-call.s3.{name}", unknown)

    refused: list[object] = []
    init = S3.__init__
    monkeypatch.setattr(S3, "__init__", opened)
    with s3(tmp_path / "s3") as bucket:
        contents = {f"in/{number}.jpg": f"{number}".encode() for number in range(20)}
        bucket.put(contents)
        record = planned(bucket, contents)
        bucket.put(mine := {"sorted/red/1.jpg": b"mine"})
        outcomes = apply.apply(record)
        assert [one.status for one in outcomes].count("done") == 19
        assert refused and bucket.objects()["sorted/red/1.jpg"] == b"mine"
        assert statuses(undo.undo(record)) == {"done"}
        assert bucket.objects() == contents | mine


def test_special_characters_in_keys(tmp_path: Path) -> None:
    with s3(tmp_path / "s3") as bucket:
        bucket.put(KEYS)
        record = planned(bucket, KEYS)
        assert statuses(apply.apply(record)) == {"done"}
        there = bucket.objects()
        assert sorted(there.values()) == sorted([*KEYS.values(), *KEYS.values()])
        assert {key.rpartition("/")[2] for key in there} == {k[3:] for k in KEYS}
        assert statuses(undo.undo(record)) == {"done"}
        assert bucket.objects() == KEYS


def test_a_bucket_that_keeps_versions_is_as_it_was(tmp_path: Path) -> None:
    with s3(tmp_path / "s3", versions=True) as bucket:
        bucket.put({"in/a.jpg": b"1"})
        client = boto3.client("s3", region_name="us-east-1")
        before = client.list_object_versions(Bucket="bucket")
        record = planned(bucket, {"in/a.jpg": b"1"})
        assert statuses(apply.apply(record)) == {"done"}
        assert len(bucket.objects()) == 2
        assert statuses(undo.undo(record)) == {"done"}
        after = client.list_object_versions(Bucket="bucket")
        assert "DeleteMarkers" not in after
        assert [one["VersionId"] for one in after["Versions"]] == [
            one["VersionId"] for one in before["Versions"]
        ]


def test_an_equal_object_that_was_written_over_a_copy_stays(tmp_path: Path) -> None:
    with s3(tmp_path / "s3", versions=True) as bucket:
        bucket.put(contents := {"in/a.jpg": b"1"})
        record = planned(bucket, contents)
        assert statuses(apply.apply(record)) == {"done"}
        bucket.put({"sorted/other/a.jpg": b"1"})
        (outcome,) = undo.undo(record)
        assert (outcome.status, outcome.reason) == ("refused", "the copy has changed since")
        assert len(bucket.objects()) == 2


def test_an_etag_that_is_no_hash_is_checked_by_content(tmp_path: Path) -> None:
    """Of an object that was uploaded in parts; its copy has another etag."""
    content = bytes(5 << 20) + b"end"
    with s3(tmp_path / "s3") as bucket:
        client = boto3.client("s3", region_name="us-east-1")
        place: dict[str, Any] = {"Bucket": "bucket", "Key": "in/a.jpg"}
        upload = client.create_multipart_upload(**place)["UploadId"]
        parts = [
            {
                "PartNumber": number,
                "ETag": client.upload_part(**place, UploadId=upload, PartNumber=number, Body=some)[
                    "ETag"
                ],
            }
            for number, some in ((1, content[: 5 << 20]), (2, content[5 << 20 :]))
        ]
        client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
        assert "-" in client.head_object(**place)["ETag"]
        record = planned(bucket, {"in/a.jpg": content})
        assert statuses(apply.apply(record)) == {"done"}
        assert statuses(undo.undo(record)) == {"done"}
        assert bucket.objects() == {"in/a.jpg": content}


def test_the_endpoint_is_kept_for_apply_and_undo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3(tmp_path / "s3") as bucket:
        bucket.put({"in/a.jpg": b"1"})
        record = planned(bucket, {"in/a.jpg": b"1"})
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        assert statuses(apply.apply(record)) == {"done"}
        assert journal.endpoint(record) is not None
        assert statuses(undo.undo(record)) == {"done"}


def test_a_bucket_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with s3(tmp_path / "s3"):
        with pytest.raises(UserError, match="s3://none can't be used: it no longer exists"):
            planned(Bucket("s3://none", True), {})
        with pytest.raises(UserError, match="a bucket is missing"):
            planned(Bucket("s3://", True), {}, "")
        assert not list(registry.all())


def test_shards_are_read_by_webdataset_itself(
    tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    webdataset = pytest.importorskip("webdataset")
    monkeypatch.setattr("zeroshelf.datasets.score.encoder_for", lambda *given: encoder)
    with s3(tmp_path / "s3") as bucket:
        bucket.put(PICTURES)
        zeroshelf.embed_dataset("s3://bucket/photos", tmp_path / "Vectors", encoder=encoder)
        given = ("score", tmp_path / "Vectors", "-l", "red", "-l", "blue", "--out", "s3://bucket/r")
        assert command(*given, "--shards", "s3://bucket/shards") == 0
        found = bucket.objects()
        tar = tmp_path / "red.tar"
        tar.write_bytes(found["shards/red/000000.tar"])
        samples = list(webdataset.WebDataset(str(tar), shardshuffle=False).decode("rgb8"))
        assert [one["__key__"] for one in samples] == [f"{number:09d}" for number in range(3)]
        assert [one["json"]["uri"] for one in samples] == [
            f"s3://bucket/photos/{name}.png" for name in ("a", "one/A", "one/a")
        ]
        assert all(one["png"][0, 0].tolist() == [*RED] for one in samples)
        assert command(*given, "--shards", "s3://bucket/shards") == 0
        assert bucket.objects() == found


def test_the_example_of_the_docs_runs(
    tmp_path: Path, known_demo: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: True)
    page = Path(__file__).parent.parent / "docs" / "tasks" / "cluster.md"
    (code,) = (code for _, _, code in examples(page) if "--to s3://bucket/sorted" in code)
    lines = [line for line in code.splitlines() if line.startswith("zeroshelf ")]
    assert len(lines) == 4
    with s3(tmp_path / "s3") as bucket:
        bucket.put({f"photos/{file.name}": file.read_bytes() for file in DEMO.rglob("IMG_04*.jpg")})
        before = bucket.objects()
        counts = []
        for line in lines:
            assert command(*shlex.split(line)[1:]) in (0, 1)
            counts.append(sum(key.startswith("sorted/") for key in bucket.objects()))
        assert counts[:2] == [0, 0] and counts[2] > 5 and counts[3] == 0
        after = bucket.objects()
        assert {key for key in after if key not in before} >= {"results/_SUCCESS"}
        assert {key: after[key] for key in before} == before
