"""Getting a model from a hub: complete and checked, or one line and nothing."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from tests import tiny
from tests.hub import COMMIT, Hub
from zeroshelf.commands.cli import cli, main
from zeroshelf.errors import UserError
from zeroshelf.models import (
    calibrations,
    catalogue,
    fetch,
    installation,
    installed,
    int8,
    ort,
    select,
)
from zeroshelf.records import Calibration

REPO = "someone/tiny"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    tiny.immich(tmp_path / "hub" / REPO, logit_scale=20)
    (tmp_path / "hub" / REPO / "textual" / "fp16").mkdir()
    (tmp_path / "hub" / REPO / "textual" / "fp16" / "model.armnn").write_bytes(b"not for us")
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50)  # bytes, not 10 MB
    with Hub(tmp_path / "hub") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def install(name: str = REPO) -> Path:
    return installation.install(installation.offer(name))


def test_a_model_arrives_with_what_it_needs_and_speaks(hub: Hub, home: Path) -> None:
    folder = install()
    assert tree(folder) == [
        "config.json",
        "golden.npz",
        "textual/model.onnx",
        "textual/tokenizer.json",
        "textual/tokenizer_config.json",
        "visual/model.onnx",
        "visual/preprocess_cfg.json",
        "zeroshelf.json",
    ]
    record = json.loads((folder / "zeroshelf.json").read_text())
    assert (record["repo"], record["revision"]) == (REPO, COMMIT)
    assert installed.ids() == (REPO,)
    assert select.find().id == REPO  # the best that is installed
    comparisons = installation.verify(REPO, folder)
    assert comparisons and all(comparison.within_tolerance for comparison in comparisons)
    installation.remove(REPO)
    assert tree(home / "models") == [] and installed.ids() == ()


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_transformers_js_arrives_too(hub: Hub, kind: str) -> None:
    tiny.transformers_js(hub.folder / "someone" / kind, kind)
    (hub.folder / "someone" / kind / "onnx" / "vision_model_quantized.onnx").write_bytes(b"other")
    folder = install(f"someone/{kind}")
    assert [name for name in tree(folder) if name.endswith(".onnx")] == [
        "onnx/text_model.onnx",
        "onnx/vision_model.onnx",
    ]


INT8 = "onnx/vision_model_int8.onnx"


@pytest.fixture
def both(hub: Hub) -> Path:
    """A repository with an int8 graph that gives what float32's does."""
    folder = tiny.transformers_js(hub.folder / "someone" / "both", "clip")
    shutil.copy(folder / "onnx" / "vision_model.onnx", folder / INT8)
    return folder


def a_share_of_the_time(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """The int8 graph takes this share of float32's time, by the clock that measures both."""
    clock = iter((0.0, 1.0, 1.0, 1.0 + share))
    monkeypatch.setattr(int8, "thread_seconds", lambda: next(clock))


def graphs(folder: Path) -> list[str]:
    return [name for name in tree(folder) if name.endswith(".onnx")]


def test_int8_is_taken_where_it_agrees(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "devices", lambda: ("cpu",))
    a_share_of_the_time(monkeypatch, 0.5)
    told: list[str] = []
    folder = installation.install(installation.offer("someone/both"), told.append)
    assert graphs(folder) == ["onnx/text_model.onnx", INT8]
    assert any(
        "int8, cosine to float32 1.0000 in the mean, at least 1.0000, 0.50 of" in line
        for line in told
    )
    assert installation.verify("someone/both", folder) is not None
    with pytest.raises(UserError, match="installed already"):
        install("someone/both")


@pytest.mark.parametrize("why", ["another", "a GPU", "--precision", "no graph", "slow"])
def test_else_float32_stays(both: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    monkeypatch.setattr(ort, "devices", lambda: ("cuda", "cpu") if why == "a GPU" else ("cpu",))
    a_share_of_the_time(monkeypatch, 0.8 if why == "slow" else 0.5)
    if why == "another":
        made = onnx.load(both / INT8)
        (weights,) = (one for one in made.graph.initializer if one.name == "weights")
        turned = numpy_helper.to_array(weights)[::-1]
        weights.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(turned), "weights"))
        onnx.save(made, both / INT8)
    if why == "no graph":
        (both / INT8).write_bytes(b"other")
    offer = installation.offer("someone/both", precision="fp32" if why == "--precision" else None)
    folder = installation.install(offer)
    assert graphs(folder) == ["onnx/text_model.onnx", "onnx/vision_model.onnx"]
    assert set(json.loads((folder / "zeroshelf.json").read_text())["sha256"]) >= {*graphs(folder)}


def test_an_int8_graph_that_is_cut_off_goes_on_later(
    hub: Hub, both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort, "devices", lambda: ("cpu",))
    a_share_of_the_time(monkeypatch, 0.5)
    hub.cut = {INT8: 100}
    with pytest.raises(UserError):
        install("someone/both")
    assert installed.ids() == ()
    hub.cut, hub.requests = {}, []
    assert graphs(install("someone/both")) == ["onnx/text_model.onnx", INT8]
    asked = dict(hub.requests)
    assert asked.pop(INT8) == "bytes=100-"  # from where it was cut
    assert not any(name.endswith(".onnx") for name in asked), "the others were there"


def test_a_disk_that_is_full_at_the_int8_graph_is_one_line(
    both: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort, "devices", lambda: ("cpu",))
    real = fetch._bring

    def full(remote: fetch.Remote, file: fetch.RemoteFile, target: Path) -> None:
        if file.path == INT8:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(remote, file, target)

    monkeypatch.setattr(fetch, "_bring", full)
    with pytest.raises(UserError, match="the disk is full"):
        install("someone/both")
    assert tree(home / "models") == []


def test_a_precision_that_is_asked_for_is_brought_or_refused(both: Path) -> None:
    assert graphs(installation.install(installation.offer("someone/both", precision="int8"))) == [
        "onnx/text_model.onnx",
        INT8,
    ]
    with pytest.raises(UserError, match="no graphs in fp16"):
        installation.offer("someone/both", precision="fp16")


def test_a_catalogue_row_says_what_the_files_leave_out(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = catalogue.Row(
        "tiny-siglip",
        "Tiny",
        1,
        1,
        1.0,
        "MIT",
        ("de",),
        repo=REPO,
        logit_scale=112.5,
        logit_bias=-16,
    )
    config = hub.folder / REPO / "config.json"
    values = json.loads(config.read_text())
    del values["logit_scale"]
    config.write_text(json.dumps(values))
    monkeypatch.setattr(catalogue, "rows", lambda: {row.id: row})
    install("tiny-siglip")
    model = select.find("tiny-siglip")
    assert (model.logit_scale, model.languages, model.licence) == (112.5, ("de",), "MIT")


def test_a_cut_connection_resumes(hub: Hub) -> None:
    """Cut once: the library goes on by itself. Cut for good: the next `get` goes on."""
    visual = "visual/model.onnx"
    hub.cut, hub.cuts = {visual: 100}, 1
    assert np.allclose(select.describe("x", install()).logit_scale, 20)
    assert (visual, "bytes=100-") in hub.requests


def test_a_connection_cut_for_good_leaves_no_model_and_goes_on_later(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.cut = {"textual/model.onnx": 100}
    with pytest.raises(UserError, match="run it again") as trouble:
        install()
    assert "\n" not in str(trouble.value)
    assert installed.ids() == () and not installed.folder_of(REPO).exists()
    hub.cut = {}
    hub.requests.clear()
    install()
    wanted = dict(hub.requests)
    assert wanted["textual/model.onnx"] == "bytes=100-"  # from where it was cut
    assert "visual/model.onnx" not in wanted  # already here


def test_what_a_cut_download_left_is_listed_and_can_be_freed(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.cut = {"textual/model.onnx": 100}
    assert main(["models", "get", REPO]) == 2
    left = sum(file.stat().st_size for file in (home / "models").rglob("*") if file.is_file())
    capsys.readouterr()
    assert main(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["begun"], listed["installed"]) == ({REPO: left}, [])
    assert main(["models"]) == 0
    assert f"`zeroshelf models remove {REPO}` deletes it" in capsys.readouterr().out
    assert main(["models", "remove", REPO, "--yes"]) == 0
    assert tree(home / "models") == [] and installed.begun() == {}
    assert main(["models", "remove", REPO, "--yes"]) == 2
    assert "is not installed" in capsys.readouterr().err


def refused(home: Path, name: str = REPO) -> str:
    with pytest.raises(UserError) as trouble:
        install(name)
    assert tree(home / "models") == []
    assert "\n" not in str(trouble.value)
    return str(trouble.value)


def test_a_wrong_checksum_is_refused(hub: Hub, home: Path) -> None:
    hub.wrong_sums = {"textual/model.onnx"}
    assert "textual/model.onnx has the wrong SHA-256" in refused(home)


def test_a_checksum_of_the_catalogue_binds_too(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = catalogue.Row(
        "tiny", "Tiny", 1, 1, 1.0, "MIT", ("en",), repo=REPO, sha256={"config.json": "0" * 64}
    )
    monkeypatch.setattr(catalogue, "rows", lambda: {"tiny": row})
    assert "config.json is not the file of the catalogue" in refused(home, "tiny")


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/../../x", "C:/x", "a\\..\\x"])
def test_a_path_out_of_the_folder_is_refused(hub: Hub, home: Path, name: str) -> None:
    hub.extra_names = [name]
    assert "outside its folder" in refused(home)


@pytest.mark.parametrize("place", ["../../x", "/etc/passwd"])
def test_a_graph_that_wants_weights_from_elsewhere_is_refused(
    hub: Hub, home: Path, place: str
) -> None:
    tiny.visual(hub.folder / REPO / "visual" / "model.onnx", external=place)
    assert f"refers to weights in '{place}'" in refused(home)


def test_weights_beside_the_graph_come_along(hub: Hub) -> None:
    tiny.visual(hub.folder / REPO / "visual" / "model.onnx", external="onnx__MatMul_2531")
    assert (install() / "visual" / "onnx__MatMul_2531").is_file()


def test_a_pickle_is_refused_under_its_own_and_another_name(hub: Hub, home: Path) -> None:
    only = hub.folder / "someone" / "pickled"
    only.mkdir()
    (only / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    assert "pytorch_model.bin, a pickle" in refused(home, "someone/pickled")
    (hub.folder / REPO / "visual" / "model.onnx").write_bytes(pickle.dumps({"weights": [1.0]}))
    assert "ONNX file: no protobuf data" in refused(home)
    with pytest.raises(UserError, match="pickled"):
        fetch.checkpoint("someone/pickled")


def test_a_disk_without_room_is_refused_before_anything_comes(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "ROOM", 10**18)
    assert "make room or set ZEROSHELF_MODELS" in refused(home)
    assert hub.requests == []


def test_a_disk_that_fills_leaves_nothing(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    assert "the disk is full" in refused(home)


def test_a_model_that_cannot_speak_is_not_installed(hub: Hub, home: Path) -> None:
    tiny.textual(hub.folder / REPO / "textual" / "model.onnx", name="strange")
    assert "strange" in refused(home)


@pytest.mark.parametrize("spoilt", [{"logit_scale": None}, {"model_type": "siglip2"}])
def test_what_the_settings_tell_is_told_before_the_graphs_come(
    hub: Hub, home: Path, spoilt: dict[str, object]
) -> None:
    config = tiny.transformers_js(hub.folder / "someone" / "siglip", "siglip") / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | spoilt))
    assert f"config.json: {next(iter(spoilt))} is " in refused(home, "someone/siglip")
    assert hub.requests and not [path for path, _ in hub.requests if path.endswith(".onnx")]


def test_without_a_network_it_says_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    line = refused(home)
    assert "HF_ENDPOINT" in line and "--model FOLDER" in line


def test_a_hub_that_is_not_to_be_asked_is_said_so(hub: Hub, home: Path) -> None:
    """Read when huggingface_hub is imported: in a process of its own."""
    asked = subprocess.run(
        [sys.executable, "-m", "zeroshelf", "models", "get", REPO],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 2
    assert asked.stderr.startswith("zeroshelf: HF_HUB_OFFLINE is set")


def test_a_place_that_cannot_hold_models_is_named(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("no folder")
    monkeypatch.setenv("ZEROSHELF_MODELS", str(home / "file"))
    offer = installation.offer(REPO)
    with pytest.raises(UserError, match="ZEROSHELF_MODELS names another") as refused:
        installation.install(offer)
    assert str(home / "file") in str(refused.value)
    with pytest.raises(UserError, match="ZEROSHELF_MODELS"):
        calibrations.store(select.find("starter"), Calibration())


def test_what_the_hub_does_not_have(hub: Hub, home: Path) -> None:
    assert "has no someone/else" in refused(home, "someone/else")
    assert "clip-l-14" in refused(home, "unheard-of")
    assert "zeroshelf models export" in refused(home, "clip-vit-b-32-multilingual")


def test_the_first_download_pins_and_the_next_compares(hub: Hub) -> None:
    """The catalogue knows no commits: what came first is what counts from then on."""
    folder = install()
    graph = "visual/model.onnx"
    shown = json.loads(CliRunner().invoke(cli, ["models", "show", REPO, "--json"]).stdout)
    assert shown["source"] == f"{REPO} at commit {COMMIT}"
    assert shown[f"sha256 of {graph}"] == fetch.sha256(hub.folder / REPO / graph)
    with pytest.raises(UserError, match="installed already, with the hub's own checksums"):
        install()
    tiny.visual(hub.folder / REPO / graph, batch="other")
    before = tree(folder)
    with pytest.raises(UserError, match=rf"installed at c0ffee000000, .* {graph} .* another file"):
        install()
    assert tree(folder) == before and installation.verify(REPO, folder)


def test_verify_finds_a_changed_file(hub: Hub) -> None:
    folder = install()
    graph = folder / "visual" / "model.onnx"
    content = bytearray(graph.read_bytes())
    content[-1] ^= 1
    graph.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"visual/model\.onnx is missing or changed"):
        installation.verify(REPO, folder)


def test_verify_finds_other_embeddings(hub: Hub) -> None:
    folder = install()
    with np.load(folder / "golden.npz") as kept:
        pictures, texts = kept["pictures"].copy(), kept["texts"]
    pictures[3] = pictures[3][::-1]
    np.savez_compressed(folder / "golden.npz", pictures=pictures, texts=texts)
    comparisons = installation.verify(REPO, folder)
    assert comparisons and not comparisons[0].within_tolerance and comparisons[1].within_tolerance
    result = CliRunner().invoke(cli, ["models", "verify", REPO])
    assert isinstance(result.exception, UserError)


def test_verify_says_how_far_it_is(hub: Hub) -> None:
    folder = install()
    told: list[tuple[str, int, int]] = []
    installation.verify(REPO, folder, progress=lambda *far: told.append(far))
    assert told == [("checking", done, 7) for done in range(7)]  # six files, and what it embeds


@pytest.mark.parametrize("left", [0, 100])
def test_damaged_golden_embeddings_are_one_line(hub: Hub, left: int) -> None:
    folder = install()
    golden = folder / "golden.npz"
    golden.write_bytes(golden.read_bytes()[:left])
    with pytest.raises(UserError, match=r"golden\.npz is damaged; remove the model"):
        installation.verify(REPO, folder)


def test_the_commands(hub: Hub, home: Path) -> None:
    run = CliRunner().invoke
    got = run(cli, ["models", "get", REPO])
    assert got.exit_code == 0, got.output
    assert got.output.index("licence: mit") < got.output.index("installed")
    assert "not in the catalogue" in got.output
    listed = json.loads(run(cli, ["models", "--json"]).stdout)
    assert listed == json.loads(run(cli, ["models", "list", "--json"]).stdout) | {
        "models": listed["models"]  # their speeds are measured each time
    }
    assert listed["installed"] == [REPO] and listed["default"] == REPO
    assert {"top1", "licence", "languages", "mb"} <= listed["models"][0].keys()
    shown = json.loads(run(cli, ["models", "show", "--json"]).stdout)
    assert shown["id"] == REPO and shown["licence"] == "mit"
    planned = json.loads(run(cli, ["models", "show", "clip-l-14", "--json"]).stdout)
    assert planned["installed"] == "no" and planned["licence"] == "MIT"
    assert "cosine >= 1.0" in run(cli, ["models", "verify"]).output
    assert run(cli, ["models", "remove", REPO, "--yes"]).exit_code == 0
    assert installed.ids() == ()
    assert "siglip2-b-16" in run(cli, ["models"]).output


def test_what_came_with_a_package_need_not_be_got(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # no server is there
    assert main(["models", "get", "starter"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("starter is already installed, ") and said.out.count("\n") == 1
    assert main(["models", "get", "starter", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["folder"] == str(select.STARTER)
    monkeypatch.setattr(select, "starters", lambda: {"starter": select.STARTER})
    assert main(["models", "get", "starter-multilingual"]) == 2
    assert "pip install ./languages" in capsys.readouterr().err


def test_every_row_of_the_catalogue_is_whole() -> None:
    for row in catalogue.rows().values():
        assert (row.repo is None) != (row.export is None)
        assert row.licence and row.languages and row.mb > 0 and row.gflop > 0
        assert catalogue.by_source(row.id) is row
    notebook = catalogue.by_source("clip-ViT-L-14")
    assert notebook and notebook.id == "clip-l-14"


def test_the_recommendation_weighs_accuracy_speed_memory_and_language() -> None:
    def best(gflops: float, memory: float, *languages: str) -> str | None:
        row = catalogue.recommend(gflops, memory, languages or ("en",))
        return row.id if row else None

    assert best(1e6, 1e6) == "siglip2-so400m-16-384"
    assert best(200, 16e3) == "siglip2-b-16"
    assert best(1e6, 2.5e3) == "clip-b-32-datacomp"  # the others don't fit
    assert best(1, 16e3) == "clip-b-32"  # nothing is quick: the cheapest
    assert best(1, 16e3, "de") == "xlm-roberta-clip-b-32"
    assert best(1e6, 100) is None


def refusal(name: str, message: str = "no\nmore") -> Exception:
    """An error of the hub's client, made without its answer."""
    from zeroshelf.system.telemetry import huggingface_hub

    kind: type[Exception] = getattr(huggingface_hub("errors"), name)
    made = kind.__new__(kind)
    Exception.__init__(made, message)
    return made


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("GatedRepoError", "someone/tiny is gated: accept its terms on .* then set HF_TOKEN"),
        ("RepositoryNotFoundError", "has no someone/tiny, or it is private"),
        ("RevisionNotFoundError", "someone/tiny: no$"),
        ("LocalEntryNotFoundError", "someone/tiny"),
        ("HFValidationError", "'someone/tiny' is not a valid name of a model on a hub"),
        ("HfHubHTTPError", ": no$"),
    ],
)
def test_what_the_hub_answers_is_one_line(error: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as told, fetch._plainly(REPO):
        raise refusal(error)
    assert "\n" not in str(told.value)


def test_other_errors_are_not_taken_for_the_hubs() -> None:
    with pytest.raises(UserError, match=REPO), fetch._plainly(REPO):
        raise ConnectionError("refused")
    with pytest.raises(ZeroDivisionError), fetch._plainly(REPO):
        raise ZeroDivisionError
