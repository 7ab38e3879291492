"""What the app offers beside shelves and copies: choices of the plan, reports, tags, old runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the review extra is not installed")

from tests.apping import call, done, labelled, serving, tree
from tests.chromium import PROGRAM, Chromium
from tests.colours import BLUE, GREEN, RED, ColourEncoder, paint
from zeroshelf.actions import kinds
from zeroshelf.app.state import App
from zeroshelf.errors import UserError
from zeroshelf.run import classify
from zeroshelf.runs import registry

READY = "document.body && document.body.dataset.ready === 'true'"
pytestmark = pytest.mark.usefixtures("colours")
in_chromium = pytest.mark.skipif(not PROGRAM, reason="no Chromium: the app's page is NOT tested")


def pictures(root: Path, each: int = 2) -> Path:
    for index in range(each):
        for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
            r, g, b = (max(0, part - 2 * index) for part in colour)
            paint(root / f"{name}-{index:02}.png", (r, g, b), (40, 30 + index))
    return root


def planned(app: App, **asked: Any) -> str:
    """The id of the run that the app plans."""
    app.plan({"action": "copy", "destination": "", **asked})
    done(app, "plan")
    return app.jobs.now["plan"].result


# --- the labels -----------------------------------------------------------------------------------


def test_a_closed_set_decides_as_a_sort_does(tmp_path: Path, encoder: ColourEncoder) -> None:
    folder = pictures(tmp_path / "pictures")
    labels: dict[str, list[str]] = {"red": [], "green": []}
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red"])
        status, told = call(f"{address}labels", {"labels": labels, "closed": True})
        assert status == 200 and told["closed"] and told["other"]["count"] == 0
        assert app.folder is not None
        made = app.folder.to_plan()
        wanted = classify(folder, [*labels], other=False, encoder=encoder, store=app.store)
        assert made.counts == wanted.counts
        assert (made.probabilities == wanted.probabilities).all()
        call(f"{address}labels", {"labels": {"red": []}, "closed": True})
        assert app.folder.run is not None and app.folder.run.counts["other"] == 4  # one label
        call(f"{address}labels", {"labels": labels, "closed": True})
    with serving(tmp_path) as (app, _):  # it is remembered
        app.open({"path": str(folder)})
        done(app, "look")
        app.read({})
        done(app, "read")
        assert app.labels({})["closed"] and app.labels({})["other"]["count"] == 0


# --- the plan -------------------------------------------------------------------------------------


def test_shelves_within_shelves_and_one_for_what_two_labels_fit(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        id = planned(app, shelf_path="{label}/{year}", destination=str(tmp_path / "shelves"))
        call(f"{address}runs/{id}/apply", {})
        done(app, "apply")
        made = [path.relative_to(tmp_path / "shelves") for path in tmp_path.rglob("*-00.png")
                if "shelves" in path.parts]  # fmt: skip
        assert {str(path) for path in made} == {
            "red/undated/red-00.png", "green/undated/green-00.png", "other/undated/blue-00.png",
        }  # fmt: skip
        labelled(app, folder, ["red", "green"])
        refused = {"action": "copy", "destination": "", "ambiguous": "red"}
        assert call(f"{address}plan", refused)[0] == 409
        assert call(f"{address}plan", {**refused, "ambiguous": "between"})[0] == 200
        done(app, "plan")


def test_what_an_action_has_no_use_for_is_left_out(tmp_path: Path) -> None:
    """The page may send what was chosen for another action before."""
    folder = pictures(tmp_path / "pictures")
    with serving(tmp_path) as (app, _):
        labelled(app, folder, ["red", "green"])
        id = planned(app, action="tag", shelf_path="{label}/{year}", destination="/elsewhere")
        assert registry.find(id).kind == "tag"
        with pytest.raises(UserError, match="onto several shelves"):
            app.plan({"action": "move", "destination": "", "several": True})


def test_an_action_that_cannot_be_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pictures(tmp_path / "pictures")
    monkeypatch.setattr("zeroshelf.system.trash.why_unavailable", lambda: "no trash on this system")
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        told = {one["name"]: one for one in call(f"{address}actions")[1]["actions"]}
        assert tuple(told) == kinds.offered()
        assert told["trash"]["why_not"] == "no trash on this system"
        assert not any(one["why_not"] for name, one in told.items() if name != "trash")
        assert call(f"{address}plan", {"action": "trash"})[0] == 409


def test_only_what_clearly_fits_goes_to_the_trash(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    before = tree(tmp_path)
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red"])
        id = planned(app, action="trash")
        told = call(f"{address}runs/{id}")[1]
        assert told["shelves"] == [{"name": "red", "count": 2}]
        call(f"{address}runs/{id}/apply", {})
        done(app, "apply")
        assert not list(folder.glob("red*")) and len(list(folder.iterdir())) == 4
        call(f"{address}runs/{id}/undo", {})
        done(app, "undo")
        assert tree(tmp_path) == before


# --- tags -----------------------------------------------------------------------------------------


def test_tags_are_removed_and_come_back(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    before = tree(tmp_path)
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        call(f"{address}untag", {})
        app.jobs.wait("plan")
        assert app.jobs.now["plan"].state == "failed"
        assert "no tags" in app.jobs.now["plan"].error
        tagged = planned(app, action="tag")
        call(f"{address}runs/{tagged}/apply", {})
        done(app, "apply")
        with_tags = tree(tmp_path)
        assert len(with_tags) == len(before) + 4
        app.open({"path": str(folder)})
        done(app, "look")
        call(f"{address}untag", {})
        done(app, "plan")
        id = app.jobs.now["plan"].result
        told = call(f"{address}runs/{id}")[1]
        assert (told["kind"], told["pictures"], told["may_review"]) == ("untag", 4, False)
        assert tree(tmp_path) == with_tags
        call(f"{address}runs/{id}/apply", {})
        done(app, "apply")
        assert tree(tmp_path) == before
        call(f"{address}runs/{id}/undo", {})
        done(app, "undo")
        assert tree(tmp_path) == with_tags


# --- runs -----------------------------------------------------------------------------------------


def test_a_report_has_the_edits_of_its_review(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        id = planned(app)
        assert call(f"{address}runs/{id}")[1]["report"]
        status, page = call(f"{address}runs/{id}/report.html")
        assert status == 200 and "<html" in page
        table = call(f"{address}runs/{id}/results.csv")[1]
        assert [line.split(",")[1:2] for line in table.splitlines() if "blue-00" in line]
        assert ",other," in next(line for line in table.splitlines() if "blue-00" in line)
        session = app.pages._session(id).session
        session.place([session.row_of["blue-00.png"]], "green")
        edited = call(f"{address}runs/{id}/results.csv")[1]
        assert ",green," in next(line for line in edited.splitlines() if "blue-00" in line)
        further = Path(registry.find(id).record) / "report-pages"
        further.mkdir()
        (further / "page-0002.html").write_text("the second page")
        assert call(f"{address}runs/{id}/report-pages/page-0002.html") == (200, "the second page")
        (further / "page-0002.html").unlink()
        for missing in ("report-pages/page-0002.html", "report-pages/..%2freport.html"):
            assert call(f"{address}runs/{id}/{missing}")[0] in (400, 404, 409)


@in_chromium
def test_a_report_is_drawn_and_asks_for_nothing(tmp_path: Path, chromium: Chromium) -> None:
    folder = pictures(tmp_path / "pictures")
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        id = planned(app)
        chromium.open(f"{address}runs/{id}/report.html")
        chromium.wait("document.querySelectorAll('img').length >= 6")
        ask = "fetch('../../state').then(() => 'answered', () => 'refused')"
        assert chromium.run(ask) == "refused"


def test_old_runs_are_removed_at_once(tmp_path: Path) -> None:
    folder, elsewhere = pictures(tmp_path / "a" / "pictures"), pictures(tmp_path / "b")
    run = classify(elsewhere, ["red"])
    run.save(run.plan(tmp_path / "b-sorted"))
    with serving(tmp_path / "a") as (app, address):
        labelled(app, folder, ["red", "green"])
        applied = planned(app)
        call(f"{address}runs/{applied}/apply", {})
        done(app, "apply")
        labelled(app, folder, ["red"])
        idle = planned(app)
        assert call(f"{address}runs/prune", {})[1] == {"removed": 1, "left": 1}
        left = {one.id for one in registry.all()}
        assert left == {applied, run.id} and idle not in left


@in_chromium
def test_the_choices_are_made_on_the_page(tmp_path: Path, chromium: Chromium) -> None:
    folder = pictures(tmp_path / "pictures")
    click = "document.getElementById({!r}).click()"
    with serving(tmp_path) as (app, address):
        labelled(app, folder, ["red", "green"])
        chromium.open(address)
        chromium.wait(READY)
        chromium.wait("document.querySelectorAll('#shelves > li').length === 3")
        chromium.run(click.format("closed"))
        chromium.wait("document.querySelectorAll('#shelves > li').length === 2")
        chromium.run(click.format("closed"))
        chromium.wait("document.querySelectorAll('#shelves > li').length === 3")
        chromium.run(click.format("continue"))
        chromium.wait("document.getElementById('planning').open")
        chromium.run(click.format("plan-ways").replace(".click()", ".open = true"))
        chromium.run("document.querySelector('[name=action][value=trash]').click()")
        assert chromium.run("document.getElementById('plan-where').hidden")
        chromium.run("document.querySelector('[name=action][value=hardlink]').click()")
        assert not chromium.run("document.getElementById('plan-where').hidden")
        chromium.run("document.getElementById('plan-path').value = '{year}/{label}'")
        chromium.run(click.format("plan-make"))
        chromium.wait("document.body.dataset.view === 'run'")
        chromium.wait("document.body.dataset.run")
        assert chromium.run("document.getElementById('run-report').href").endswith("report.html")
        chromium.run(click.format("run-apply"))
        chromium.wait("document.getElementById('confirm').open")
        chromium.run(click.format("confirm-yes"))
        chromium.wait("document.body.dataset.run.endsWith('applied')")
        made = tmp_path / "pictures-sorted" / "undated" / "red" / "red-00.png"
        assert os.stat(made).st_nlink == 2
    assert chromium.errors == []
