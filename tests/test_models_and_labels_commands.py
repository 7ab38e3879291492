"""`zeroshelf labels check` and `zeroshelf models export`, as they are typed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests import tiny
from tests.program import command
from zeroshelf.models import installed, select
from zeroshelf.models.golden import Comparison


def test_labels_are_checked_in_words_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("labels", "check", "crane", "-l", "kitten", "no people") == 0
    said = capsys.readouterr().out
    assert "crane: " in said and "no people: " in said and "\n  " in said
    assert command("labels", "check", "crane", "-l", "kitten", "no people", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["labels"] == ["crane", "no people", "kitten"]
    assert {"labels", "problem", "suggestion"} == {key for one in found["advice"] for key in one}
    assert ["crane"] in [one["labels"] for one in found["advice"]]


def test_labels_of_a_file_without_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.txt").write_text("kitten\ncastle\n")
    assert command("labels", "check", "--labels", tmp_path / "labels.txt") == 0
    assert "no problem found with these labels" in capsys.readouterr().out
    assert command("labels", "check") == 2


# --- models -------------------------------------------------------------------------------------


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the export was called with; it writes a small model."""
    calls: list[dict[str, Any]] = []

    def convert(source: str, folder: Path, **options: Any) -> SimpleNamespace:
        options.pop("say")("converting")
        calls.append({"source": source, "folder": folder} | options)
        tiny.immich(folder, logit_scale=20)
        one = Comparison(1.0, 0.9999)
        small = one if options["precision"] != "fp32" else None
        return SimpleNamespace(
            folder=folder, pictures=one, texts=one, small_pictures=small, small_texts=small
        )

    module = ModuleType("zeroshelf.models.export")
    module.__dict__["export"] = convert
    monkeypatch.setitem(sys.modules, "zeroshelf.models.export", module)
    return calls


def test_without_torch_the_export_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "zeroshelf.models.export", None)
    assert command("models", "export", "ViT-B-32", "--to", tmp_path / "M") == 2
    assert 'pip install "zeroshelf[export]"' in capsys.readouterr().err
    assert not (tmp_path / "M").exists()


def test_an_export_into_a_folder(
    tmp_path: Path, exported: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("models", "export", "someone/new", "--to", tmp_path / "in" / "M", "--language", "de")
    assert command(*words, "--precision", "int8", "--licence", "mine") == 0
    (call,) = exported
    assert (call["source"], call["folder"]) == ("someone/new", tmp_path / "in" / "M")
    assert (call["languages"], call["licence"], call["precision"]) == (("de",), "mine", "int8")
    said = capsys.readouterr().out
    assert "ONNX against torch: pictures" in said and "int8 against fp32: texts" in said
    assert f"--model {tmp_path / 'in' / 'M'}" in said


def test_an_export_by_name_is_an_installed_model(
    home: Path, exported: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("models", "export", "someone/new", "--to", "mine", "--json") == 0
    assert exported[0]["folder"] == installed.home() / "mine"
    assert exported[0]["languages"] == ("en",)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["id"] == "mine"
    assert select.find("mine").folder == installed.home() / "mine"


def test_a_model_that_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("models", "show", "no-such-model") == 2
    assert "no-such-model" in capsys.readouterr().err
