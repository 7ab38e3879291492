"""The report: flat memory to write, nothing from outside to show, and no script but its own.

The tests of the page itself drive a real Chromium; without one they are skipped and say so.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tracemalloc
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from PIL import Image

from tests.chromium import PROGRAM, Chromium
from tests.systems import linux_names
from tests.waiting import until
from zeroshelf.output import report
from zeroshelf.output.report import Facts
from zeroshelf.output.results import Row

EVIL = (
    "</script><script>window.broken=1</script>",
    "<!--<script>",
    "--><img src=x onerror=window.broken=1>",
    "\"'><svg onload=window.broken=1>",
    "&lt;b&gt; &amp; ]]>",
    "\u2028\u2029\u202egpj.exe",
    b"caf\xe9 \xff.jpg".decode("utf-8", "surrogateescape"),
    "`${window.broken=1}`\\u003c/script\\u003e",
    "{{rows}}{{run}}{{policy}}",
    "__proto__",
    "new\nline\ttab\0null",
)


def jpeg(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (96, 64), colour).save(file, "JPEG")
    return file.getvalue()


SMALL = jpeg((30, 140, 90))


def thumbnails(digests):
    return dict.fromkeys(digests, SMALL)


def row(path="/pics/a.jpg", label="cat", probability=0.9, confidence="sure", **more):
    told = {"reason": f"looks like {label}", "digest": "ab" * 32, "size": 1234, **more}
    top = (("cat", probability), ("frog", 0.05))
    return Row(path, label, "cat", probability, 0.5, confidence, top=top, **told)


def skipped(path="/pics/broken.jpg", reason="the file ends too early"):
    return Row(path, None, None, None, None, None, reason)


def facts(rows, labels=("cat", "frog"), **more):
    counts = {label: sum(r.label == label for r in rows) for label in (*labels, "other")}
    return Facts(
        **{
            "run": "2026-11-24-a1",
            "folder": "/pics",
            "model": "starter",
            "when": datetime(2026, 11, 24, 12, tzinfo=UTC),
            "seconds": 3.2,
            "labels": labels,
            "counts": counts,
            "skipped": sum(r.label is None for r in rows),
            **more,
        }
    )


def written(place, rows, **more):
    path = str(place / "report.html")
    report.write(rows, thumbnails, path, facts(rows, **more))
    return path


# --- the file -----------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_comment(self, data):
        self.comments.append(data)


def tags(path):
    parser = Tags()
    with open(path, encoding="utf-8") as file:
        parser.feed(file.read())
    return parser


def hostile_rows():
    rows = [
        row(f"/pics/{evil}", evil, reason=evil, looks_like=evil, target=f"/sorted/{evil}")
        for evil in EVIL
    ]
    return [*rows, *(skipped(f"/pics/{evil}", evil) for evil in EVIL)]


def test_hostile_text_makes_no_tag(tmp_path):
    plain = tags(written(tmp_path, [row("/pics/a.jpg") for _ in EVIL] + [skipped() for _ in EVIL]))
    names = {"labels": EVIL, "folder": "/" + EVIL[0], "model": EVIL[1], "run": EVIL[2]}
    hostile = tags(written(tmp_path, hostile_rows(), notes=EVIL, **names))
    assert hostile.tags[1:] == plain.tags[1:]
    assert hostile.comments == plain.comments == []


def test_the_only_code_is_the_pages_own(tmp_path):
    found = tags(written(tmp_path, hostile_rows(), labels=EVIL)).tags
    scripts = [attributes for tag, attributes in found if tag == "script"]
    assert [a for a in scripts if "type" not in a] == [{}]
    assert {a["type"] for a in scripts if "type" in a} == {"application/json", "text/plain"}
    assert not [a for _, a in found if any(name.startswith("on") for name in a)]
    assert not [a for _, a in found if "src" in a or "href" in a]
    (policy,) = (a["content"] for _, a in found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_blocks_hold_the_rows_as_in_the_results(tmp_path):
    rows = [row(f"/pics/{i}.jpg") for i in range(150)]
    rows += [row(b"/pics/\xff<.jpg".decode("utf-8", "surrogateescape")), skipped()]
    with open(written(tmp_path, rows), encoding="utf-8") as file:
        text = file.read()
    blocks = re.findall(r'<script type="application/json" id="rows-\d+">(.*?)</script>', text, re.S)
    assert [record["path"] for block in blocks for record in json.loads(block)] == [
        r.path for r in rows
    ]
    assert len(re.findall(r'id="picture-\d+"', text)) == len(rows) - 1


def test_thumbnails_are_asked_for_in_blocks(tmp_path):
    asked = []

    def some(digests):
        asked.append(len(digests))
        return {}

    rows = [row() for _ in range(300)]
    report.write(iter(rows), some, str(tmp_path / "r.html"), facts(rows))
    assert sum(asked) == 300
    assert max(asked) <= report.BLOCK


def test_memory_stays_flat(tmp_path):
    def peak(count):
        rows = (row(f"/pics/{i}.jpg", digest=f"{i:064x}") for i in range(count))
        tracemalloc.start()
        report.write(rows, thumbnails, str(tmp_path / "r.html"), facts([]))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(6000) < 1.2 * peak(600)


# --- the page -----------------------------------------------------------------------------------

in_chromium = pytest.mark.skipif(
    PROGRAM is None,
    reason="NO CHROMIUM: the report's page is NOT tested (apt-get install chromium)",
)

CARDS = "[...document.querySelectorAll('.card')]"


@pytest.fixture(scope="module")
def browser():
    with Chromium() as chromium:
        yield chromium


def show(browser, path, cards=1):
    browser.requests.clear()
    browser.errors.clear()
    browser.open("file://" + path)
    browser.wait(
        f"location.pathname === {json.dumps(path)} && typeof complete === 'boolean' && complete"
    )
    browser.wait(f"{CARDS}.length >= {cards}")


def click(browser, selector):
    browser.run(f"document.querySelector({json.dumps(selector)}).click()")


@in_chromium
def test_the_page_loads_nothing_and_shows_the_thumbnails(tmp_path, browser):
    path = written(tmp_path, [row(f"/pics/{i}.jpg") for i in range(3)])
    show(browser, path, 3)
    browser.wait("document.querySelectorAll('.frame img.ready').length === 3")
    assert browser.run("document.querySelector('.frame img').naturalWidth") == 96
    assert browser.requests == ["file://" + path]
    assert browser.errors == []


@in_chromium
def test_the_policy_forbids_other_code_and_other_places(tmp_path, browser):
    show(browser, written(tmp_path, [row()]))
    browser.run(
        """new Promise((done) => {
          const script = document.createElement("script");
          script.textContent = "window.broken = 1";
          document.body.append(script);
          const image = new Image();
          image.onload = image.onerror = done;
          image.src = "http://127.0.0.1:9/";
        })"""
    )
    assert browser.run("window.broken") is None
    assert sum("Content Security Policy" in error for error in browser.errors) >= 2


@in_chromium
def test_hostile_text_is_text(tmp_path, browser):
    path = written(
        tmp_path, hostile_rows(), labels=EVIL, folder="/" + EVIL[0], model=EVIL[1], run=EVIL[2],
        notes=EVIL,
    )  # fmt: skip
    show(browser, path)
    for index in range(len(EVIL)):
        browser.run(f"showDetail({index})")
    browser.run("document.getElementById('detail').close()")
    browser.run("[...document.querySelectorAll('#shelves button')].at(-1).click()")
    assert browser.run("document.querySelectorAll('#skipped li').length") == len(EVIL)
    assert browser.run("window.broken") is None
    assert browser.run("document.querySelectorAll('svg, b, img[src=x]').length") == 0
    text = browser.run("document.body.innerText")
    assert EVIL[0] in text
    assert "\u202e" not in text
    assert r"caf\xe9 \xff.jpg" in text
    # the page, and the originals that it shows large, which are not there
    known = {os.fsencode(p) for r in hostile_rows() for p in (r.path, r.target) if p}
    first, *others = browser.requests
    assert first == "file://" + path
    asked = {unquote_to_bytes(address.removeprefix("file://")) for address in others}
    assert asked <= known, asked - known
    assert [
        error for error in browser.errors if "Failed to load resource: net::" not in error
    ] == []


@linux_names
@in_chromium
def test_the_link_leads_to_the_bytes_of_the_path(tmp_path, browser):
    names = [b"/pics/caf\xe9 #1?.jpg", "/pics/蛙 100%.jpg".encode(), b"/pics/back\\slash.jpg"]
    show(browser, written(tmp_path, [row(os.fsdecode(name)) for name in names]), 3)
    for index, name in enumerate(names):
        browser.run(f"showDetail({index})")
        link = browser.run("document.getElementById('detail-open').href")
        assert link.startswith("file:///pics/")
        assert "#" not in link
        assert "?" not in link
        assert unquote_to_bytes(link.removeprefix("file://")) == name


MIXED = [
    row("/pics/IMG_1.jpg", "cat", 0.95),
    Row(
        "/pics/IMG_2.jpg",
        "cat",
        "cat",
        0.55,
        0.1,
        "unsure",
        "looks like cat, or frog",
        (("cat", 0.55), ("frog", 0.44)),
        target="/sorted/cat/IMG_2.jpg",
        size=2_500_000,
        digest="cd" * 32,
    ),
    row("/pics/holiday/IMG_3.jpg", "frog", 0.75, "likely"),
    row("/pics/scan.png", "other", 0.97, reason="looks like a receipt"),
    skipped(),
]


def shown(browser):
    return browser.run(f"{CARDS}.map((card) => card.querySelector('.name').textContent)")


@pytest.fixture
def mixed(tmp_path, browser):
    show(browser, written(tmp_path, MIXED), 4)
    return browser


@in_chromium
def test_shelves_with_counts_other_and_skipped_last(mixed):
    buttons = "[...document.querySelectorAll('#shelves button')]"
    assert mixed.run(f"{buttons}.map((button) => button.innerText)") == [
        "All pictures\n4", "cat\n2", "frog\n1", "other\n1", "skipped\n1",
    ]  # fmt: skip
    assert shown(mixed) == ["IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg", "scan.png"]
    assert mixed.run("[...document.querySelectorAll('.row h2 bdi')].map((h) => h.innerText)") == [
        "cat", "frog", "other",
    ]  # fmt: skip


@in_chromium
def test_filters_by_label_confidence_and_text(mixed):
    mixed.run("[...document.querySelectorAll('#shelves button')][1].click()")
    assert shown(mixed) == ["IMG_1.jpg", "IMG_2.jpg"]
    click(mixed, "#levels input[value=sure]")
    assert shown(mixed) == ["IMG_2.jpg"]
    mixed.run("[...document.querySelectorAll('#shelves button')][0].click()")
    assert shown(mixed) == ["IMG_2.jpg", "IMG_3.jpg"]
    mixed.run("document.getElementById('text').value = 'HOLIDAY frog'")
    mixed.run("document.getElementById('text').dispatchEvent(new Event('input'))")
    mixed.wait(f"{CARDS}.length === 1")
    assert shown(mixed) == ["IMG_3.jpg"]
    assert mixed.run("document.getElementById('shown').firstChild.data") == "1 picture of 4"
    click(mixed, "#shown button")
    assert len(shown(mixed)) == 4


@in_chromium
def test_unsure_first(mixed):
    mixed.run("document.getElementById('order').value = 'unsure'")
    mixed.run("document.getElementById('order').dispatchEvent(new Event('change'))")
    assert shown(mixed) == ["IMG_2.jpg", "IMG_1.jpg", "IMG_3.jpg", "scan.png"]


@in_chromium
def test_skipped_files_are_listed_with_their_reason(mixed):
    mixed.run("[...document.querySelectorAll('#shelves button')].at(-1).click()")
    assert mixed.run("document.getElementById('skipped').innerText").split("\n") == [
        "/pics/broken.jpg",
        "the file ends too early",
    ]


@in_chromium
def test_a_label_may_be_called_skipped(tmp_path, browser):
    rows = [row("/pics/a.jpg", "skipped"), skipped("/pics/broken.jpg")]
    show(browser, written(tmp_path, rows, labels=("skipped",)))
    browser.run("[...document.querySelectorAll('#shelves button')][1].click()")
    assert shown(browser) == ["a.jpg"]
    assert browser.run("document.getElementById('skipped').hidden")


@in_chromium
def test_small_shelves_share_a_line(mixed):
    heads = "[...document.querySelectorAll('.row h2')].map((h) => h.getBoundingClientRect())"
    tops = mixed.run(f"{heads}.map((box) => box.top)")
    assert len(set(tops)) == 1
    lefts = mixed.run(f"{heads}.map((box) => box.left)")
    cards = mixed.run(f"{CARDS}.map((card) => card.getBoundingClientRect().left)")
    assert lefts == [cards[0], cards[2], cards[3]]  # cat 2, frog 1, other 1


@in_chromium
def test_near_duplicates_name_each_other(tmp_path, browser):
    rows = [row("/a/one.jpg", group=7), row("/a/two.jpg", group=7), row("/a/alone.jpg")]
    show(browser, written(tmp_path, rows), 3)
    browser.run("showDetail(0)")
    assert "two.jpg" in browser.run("document.getElementById('detail-facts').innerText")
    browser.run("showDetail(2)")
    assert "same" not in browser.run("document.getElementById('detail-facts').innerText")


@in_chromium
def test_a_run_without_pictures_says_so(tmp_path, browser):
    show(browser, written(tmp_path, [skipped()]), 0)
    assert browser.run("document.getElementById('headline').innerText") == "0 pictures on 2 shelves"
    assert browser.run("document.getElementById('shown').innerText") == "No picture here."
    assert browser.errors == []


@in_chromium
def test_the_detail_says_all_and_keys_are_enough(mixed):
    mixed.run("document.querySelector('.card[tabindex=\"0\"]').focus()")
    mixed.press("ArrowRight")
    mixed.run("document.activeElement.click()")
    text = mixed.run("document.getElementById('detail').innerText")
    for part in ("2 of 4", "IMG_2.jpg", "unsure, 55 %", "looks like cat, or frog", "44 %",
                 "/sorted/cat/IMG_2.jpg", "2.5 MB"):  # fmt: skip
        assert part in text
    widths = "[...document.querySelectorAll('#detail-top i')].map((fill) => fill.style.width)"
    assert mixed.run(widths) == ["55%", "44%"]
    mixed.press("ArrowRight")
    assert mixed.run("document.getElementById('detail-name').innerText") == "IMG_3.jpg"
    mixed.press("Escape")
    mixed.wait("document.activeElement.querySelector('.name')?.innerText === 'IMG_3.jpg'")


@in_chromium
def test_few_pictures_are_in_the_page_at_once(tmp_path, browser):
    rows = [row(f"/pics/{i:05d}.jpg", probability=1 - i / 10_000) for i in range(3000)]
    show(browser, written(tmp_path, rows))
    assert browser.run(f"{CARDS}.length") < 100
    browser.run("scrollTo(0, document.body.scrollHeight)")
    browser.wait(f"{CARDS}.at(-1).dataset.index === '2999'")
    browser.wait(f"{CARDS}.at(-1).querySelector('img.ready')")
    assert browser.run(f"{CARDS}.length") < 100


@in_chromium
@pytest.mark.parametrize("width", [360, 800, 1920])
def test_no_width_needs_sideways_scrolling(tmp_path, browser, width):
    rows = [row("/pics/" + "long" * 60 + ".jpg", reason="why " * 80), row(), skipped()]
    browser.resize(width, 800)
    show(browser, written(tmp_path, rows, folder="/" + "x" * 400, notes=("y" * 300,)), 0)
    assert browser.run("document.documentElement.scrollWidth") <= width
    browser.run("showDetail(0)")
    assert browser.run("document.getElementById('detail').scrollWidth") <= width
    browser.resize(1280, 800)


# --- several pages ------------------------------------------------------------------------------


@pytest.fixture
def paged(tmp_path, monkeypatch):
    """A report of 25 pictures on pages of 10: 12 of "cat", 4 of "frog", 9 of "other"."""
    monkeypatch.setattr(report, "MOST", 20)
    monkeypatch.setattr(report, "PER_PAGE", 10)
    monkeypatch.setattr(report, "BLOCK", 4)
    labels = ["cat"] * 12 + ["frog"] * 4 + ["other"] * 9
    rows = [
        row(f"/pics/{i:02}.jpg", label=label, probability=(1 + i * 7 % 25) / 26)
        for i, label in enumerate(labels)
    ]
    columns = np.array([("cat", "frog", "other").index(label) for label in labels])
    pages = report.pages_of(columns, np.array([one.probability for one in rows]))
    path = str(tmp_path / "report.html")
    report.write([*rows, skipped()], thumbnails, path, facts([*rows, skipped()]), pages)
    return path, rows


def page_files(path):
    folder = path.removesuffix(".html") + "-pages"
    return [path, *(os.path.join(folder, name) for name in sorted(os.listdir(folder)))]


def rows_of(path):
    text = Path(path).read_text("utf-8")
    blocks = re.findall(r'<script type="application/json" id="rows-\d+">(.*?)</script>', text, re.S)
    return [one["path"] for block in blocks for one in json.loads(block)]


def test_many_pictures_are_on_several_pages_each_once(paged):
    path, rows = paged
    found = [rows_of(file) for file in page_files(path)]
    assert [len(one) for one in found] == [11, 10, 5]  # the skipped file is on the first
    shelves = ("cat", "frog", "other")
    order = sorted(rows, key=lambda one: (shelves.index(one.label), -one.probability))
    assert [set(one) - {"/pics/broken.jpg"} for one in found] == [
        {one.path for one in order[start : start + 10]} for start in (0, 10, 20)
    ]
    for file in page_files(path):
        text = Path(file).read_text("utf-8")
        assert text.rstrip().endswith("</html>")
        assert text.count('id="end"') == 1


def test_few_pictures_need_no_pages():
    assert report.pages_of(np.zeros(50_000, int), np.ones(50_000)) is None
    pages = report.pages_of(np.zeros(50_001, int), np.ones(50_001))
    assert pages is not None
    assert np.bincount(pages).tolist() == [10_000] * 5 + [1]


def test_pages_of_an_earlier_report_go_and_nothing_else_does(paged, tmp_path):
    path, rows = paged
    own = tmp_path / "report-pages" / "notes.txt"
    own.write_text("mine")
    report.write(rows[:3], thumbnails, path, facts(rows[:3]))
    assert os.listdir(tmp_path / "report-pages") == ["notes.txt"]
    own.unlink()
    report.write(rows[:3], thumbnails, path, facts(rows[:3]))
    assert not own.parent.exists()


def arrive(browser, end, cards, shelf=None):
    """Wait until the page whose address ends so shows so many cards. The page that is left can't
    be waited in: it goes with its promises."""
    condition = (
        f"location.pathname.endsWith({json.dumps(end)}) && typeof complete === 'boolean'"
        f" && complete && {CARDS}.length === {cards} && state.shelf === {json.dumps(shelf)}"
    )

    def there():
        with contextlib.suppress(Exception):
            return browser.run(condition)

    until(there)


@in_chromium
def test_pages_lead_to_each_other_and_to_the_shelves(paged, browser):
    path, _ = paged
    show(browser, path, 1)
    assert "25 pictures" in browser.run("document.getElementById('headline').innerText")
    assert "Page 1 of 3" in browser.run("document.querySelector('.pager').innerText")
    link = "[...document.querySelectorAll('.pager a')].find((a) => a.text === '%s').click()"
    button = "[...document.querySelectorAll('#shelves button')].find((b) => b.title === '%s')"
    browser.run(link % "Next")
    arrive(browser, "/report-pages/page-0002.html", 10)
    browser.run(button % "frog" + ".click()")  # on this page: no other is opened
    arrive(browser, "/report-pages/page-0002.html", 4, "frog")
    browser.run(button % "other" + ".click()")
    arrive(browser, "/report-pages/page-0002.html", 4, "other")
    browser.run(link % "Last")
    arrive(browser, "/report-pages/page-0003.html", 5, "other")
    browser.run(button % "cat" + ".click()")  # where it begins
    arrive(browser, "/report.html", 10, "cat")
    assert browser.errors == []


def pictures_on_disk(place):
    """An original where it was, one where a move put it, one that is gone, one of a format that no
    browser shows; each of the first two is wider than any thumbnail."""
    for name in ("a.jpg", "sorted/b # 50%.jpg"):
        (place / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (900, 600), (30, 140, 90)).save(place / name)
    (place / "d.heic").write_bytes(b"no picture")
    path = lambda name: str(place / name)  # noqa: E731
    return [
        row(path("a.jpg"), digest="aa" * 32),
        row(path("b.jpg"), probability=0.8, target=path("sorted/b # 50%.jpg"), digest="bb" * 32),
        row(path("c.jpg"), probability=0.7, target=path("sorted/c.jpg"), digest="cc" * 32),
        row(path("d.heic"), probability=0.6, digest="dd" * 32),
    ]


@pytest.mark.skipif(not PROGRAM, reason="no Chromium")
def test_the_large_view_shows_the_original_or_says_why_not(tmp_path):
    path = written(tmp_path, pictures_on_disk(tmp_path))
    width = "document.getElementById('detail-picture').naturalWidth"
    says = "document.getElementById('detail-shown').textContent"
    with Chromium() as browser:
        browser.open("file://" + path)
        browser.wait("document.querySelectorAll('.card').length === 4")
        browser.run("document.querySelector('.card').click()")
        for number, wide in enumerate((900, 900, 96, 96)):
            if number:
                browser.run("document.getElementById('next').click()")
            browser.wait(f"!{says}.startsWith('Opening')")
            browser.wait(f"{width} > 0")
            assert browser.run(width) == wide, number
            assert browser.run(says).startswith("A thumbnail") == (wide == 96)
        browser.run("document.getElementById('previous').click()")
        browser.run("document.getElementById('previous').click()")
        browser.wait("document.getElementById('detail-open').href.endsWith('b%20%23%2050%25.jpg')")
        assert all(address.startswith("file:///") for address in browser.requests)
