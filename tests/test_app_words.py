"""What the app tells names no command: its users have no terminal. And which drives it opens."""

from __future__ import annotations

import os

import pytest

from zeroshelf.app.wording import in_app
from zeroshelf.errors import UserError
from zeroshelf.models import catalogue, installation, select
from zeroshelf.runs import registry
from zeroshelf.system import drives


def test_notes_on_models_lead_to_their_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "recommend", lambda *_: catalogue.by_source("clip-l-14"))
    line = select._better_model(select.find("starter"))
    assert line is not None and "`zeroshelf" in line
    assert 'clip-l-14, is under "Models"' in in_app(line) and "`zeroshelf" not in in_app(line)


def test_refusals_lead_to_pages_of_the_app() -> None:
    for act, page in (
        (lambda: registry.find("20260101-000000-abcd"), "History"),
        (lambda: select.find("missing"), "Models"),
        (lambda: select.find("clip-l-14"), "Models"),
        (lambda: installation.remove("missing"), "Models"),
    ):
        with pytest.raises(UserError) as refused:
            act()
        assert f'see "{page}"' in in_app(str(refused.value))
        assert "`zeroshelf" not in in_app(str(refused.value))


def test_other_lines_stay_as_they_are() -> None:
    for line in ("3 files are left", "cat: has several senses"):
        assert in_app(line) == line


@pytest.mark.parametrize(
    ("system", "there", "found"),
    [
        ("linux", ["/media/ann", "/run/media/bob"], ["/media/ann"]),
        ("linux", [], []),
        ("darwin", ["/Volumes", "/media/ann"], ["/Volumes"]),
        ("win32", ["C:\\", "D:\\", "Z:\\"], ["C:\\", "D:\\", "Z:\\"]),
    ],
)
def test_drives_that_are_plugged_in(
    monkeypatch: pytest.MonkeyPatch, system: str, there: list[str], found: list[str]
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("USERPROFILE", "/home/ann")
    monkeypatch.setattr(os.path, "isdir", lambda path: path in there)
    assert drives.folders(system) == found


def test_the_drive_of_the_home_folder_is_not_opened_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda _: "C:\\Users\\ann")
    monkeypatch.setattr(os.path, "splitdrive", lambda path: (path[:2], path[2:]))
    monkeypatch.setattr(os.path, "isdir", lambda _: True)
    found = drives.folders("win32")
    assert "C:\\" not in found and "D:\\" in found


def test_a_label_check_is_told_without_its_command() -> None:
    assert in_app("crane: several senses; `zeroshelf labels check` says what helps") == (
        "crane: several senses"
    )
