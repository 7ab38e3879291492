"""The contact sheet shows what it was given, where it was given it, in any script."""

import base64
import io
import os
import re
import weakref

import pytest
from PIL import Image, ImageDraw

from zeroshelf.output import contact_sheet, lettering
from zeroshelf.output.contact_sheet import CELL, GAP, HEADING, MARGIN, PAPER, Group
from zeroshelf.output.results import Row
from zeroshelf.system import machine

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (30, 60, 200)}


def jpeg(colour, size=(160, 120)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG", quality=90)
    return file.getvalue()


SMALL = {name: jpeg(colour) for name, colour in COLOURS.items()}


def thumbnails(digests):
    return {digest: SMALL[digest] for digest in digests if digest in SMALL}


def row(label, probability, digest="red"):
    return Row("/p.jpg", label, label, probability, 0.1, "sure", "", digest=digest)


def near(colour, other):
    return all(abs(a - b) < 12 for a, b in zip(colour, other, strict=True))


def test_groups_are_the_labels_in_order_and_the_best_pictures_first():
    rows = [row("frog", i / 10, f"f{i}") for i in range(10)]
    rows += [row("other", 0.9, "o"), Row("/broken", None, None, None, None, None, "no picture")]
    cat, frog, other = contact_sheet.groups(rows, ["cat", "frog"], most=3)
    assert cat == Group("cat", 0, ())
    assert frog == Group("frog", 10, (("f9", 0.9), ("f8", 0.8), ("f7", 0.7)))
    assert other == Group("other", 1, (("o", 0.9),))


def test_groups_keep_no_more_rows_than_they_show():
    alive: weakref.WeakSet[object] = weakref.WeakSet()
    most = 0

    class Counted(str):
        __slots__ = ("__weakref__",)

    def many():
        nonlocal most
        for i in range(20_000):
            digest = Counted(i)
            alive.add(digest)
            most = max(most, len(alive))
            yield row("cat", 0.5, digest)
            del digest

    (cat, _) = contact_sheet.groups(many(), ["cat"])
    assert (cat.count, len(cat.pictures)) == (20_000, 8)
    assert [digest for digest, _ in cat.pictures] == [str(i) for i in range(8)]  # ties: the first
    assert most < 8 + 5


def test_each_picture_lies_under_its_label():
    groups = [
        Group("cat", 2, (("red", 0.9), ("green", 0.5))),
        Group("other", 1, (("blue", 0.8),)),
    ]
    drawn = contact_sheet.draw(groups, thumbnails)
    middle = MARGIN - 12 + HEADING + CELL // 2
    for column, name in enumerate(("red", "green", "blue")):  # both groups fit one line
        x = MARGIN + column * (CELL + GAP) + CELL // 2
        assert near(drawn.getpixel((x, middle)), COLOURS[name]), name


def test_groups_that_do_not_fit_beside_each_other_go_below():
    one = contact_sheet.draw([Group("cat", 5, (("red", 0.9),) * 5)], thumbnails)
    two = contact_sheet.draw(
        [Group(name, 5, (("red", 0.9),) * 5) for name in ("a", "b")], thumbnails
    )
    assert two.height > one.height
    assert two.width == one.width


@pytest.mark.parametrize(
    "label",
    [
        "cat",
        "Ł",
        "新干线",
        "ضفدع",
        "हाथी",
        "😀",
        "a\nb\u202ec",
        "\udcff",
        "x" * 500,
        "\U000e0fff" * 3,
        "",
    ],
    ids=ascii,
)
def test_any_label_can_be_drawn(label):
    groups = [Group(label, 1, (("red", 0.9),)), Group("other", 0, ())]
    drawn = contact_sheet.draw(groups, thumbnails)
    heading = drawn.crop((MARGIN, MARGIN - 8, drawn.width - MARGIN, MARGIN + HEADING - 16))
    assert len(heading.getcolors(100_000) or ()) > 1  # something is written there
    margin = drawn.crop((drawn.width - MARGIN + 2, 0, drawn.width, drawn.height))
    assert margin.getcolors() == [
        (margin.width * margin.height, Image.new("RGB", (1, 1), PAPER).getpixel((0, 0)))
    ]


def written(label):
    """The pixels of one heading, and the letters that were drawn."""
    drawn = Image.new("RGB", (400, 40), PAPER)
    end = lettering.write(ImageDraw.Draw(drawn), (4, 30), label, 19, "black")
    assert end == 4 + lettering.width(label, 19)
    return drawn.tobytes(), lettering._drawable(label, 19)[0]


@pytest.fixture
def fonts(monkeypatch):
    """Sets the fonts that the system has."""

    def has(*paths):
        monkeypatch.setattr(lettering, "_installed", lambda: paths)
        lettering._best_font.cache_clear()

    yield has
    lettering._best_font.cache_clear()


def test_latin_letters_look_the_same_whatever_the_system_has(fonts):
    fonts()
    without = written("frog")
    fonts("/no/such/font.ttf")
    assert written("frog") == without and without[1] == "frog"


def test_a_letter_that_no_font_has_is_a_question_mark_accents_included(fonts, tmp_path):
    (tmp_path / "notosans-broken.ttf").write_bytes(b"no font")
    fonts(str(tmp_path / "notosans-broken.ttf"))
    assert written("cat \u732b \u0939\u093e\u0925\u0940")[1] == "cat ? ??"
    assert written("\u732b") == written("\u72ac")


def test_a_font_that_has_the_letters_is_taken_for_the_whole_line(fonts):
    dejavu = [path for path in lettering._installed() if path.endswith("DejaVuSans.ttf")]
    if not dejavu:
        pytest.skip("needs DejaVu Sans")
    fonts("/no/such/font.ttf", *dejavu)
    for label in ("\u043a\u043e\u0448\u043a\u0430 cat", "e\u0301clair", "\u0642\u0637\u0629"):
        pixels, drawn = written(label)
        assert drawn == label and pixels != written("?" * len(label))[0]
    assert written("\u043a")[0] != written("\u0448")[0], "two letters, not two empty boxes"


def test_fonts_of_many_letters_come_first_and_other_faces_are_left_out(monkeypatch, tmp_path):
    names = ("wqy-zenhei.ttc", "DejaVuSans-Bold.ttf", "DejaVuSans.ttf", "Strange.ttf", "arial.txt")
    for name in (*names, "NotoSans-Regular.ttf"):
        (tmp_path / name).touch()
    monkeypatch.setattr(machine, "font_folders", lambda: [str(tmp_path), "/no/such"])
    lettering._installed.cache_clear()
    found = [os.path.basename(path) for path in lettering._installed()]
    lettering._installed.cache_clear()
    assert found == ["NotoSans-Regular.ttf", "DejaVuSans.ttf", "wqy-zenhei.ttc"]


def test_a_missing_thumbnail_leaves_an_empty_frame():
    drawn = contact_sheet.draw([Group("cat", 1, (("gone", 0.9),))], thumbnails)
    frame = drawn.getpixel((MARGIN + CELL // 2, MARGIN - 12 + HEADING + CELL // 2))
    assert near(frame, (0xEC, 0xE9, 0xE1))


def test_each_thumbnail_is_asked_for_decoded_and_drawn_once(tmp_path, monkeypatch):
    """A contact sheet is part of every run."""
    asked, opened, looked = [], [], []
    open_image, walk = Image.open, os.walk
    monkeypatch.setattr(Image, "open", lambda *given: opened.append(1) or open_image(*given))
    monkeypatch.setattr(os, "walk", lambda *given: looked.append(1) or walk(*given))

    def noting(digests):
        asked.append(len(digests))
        return thumbnails(digests)

    groups = [Group(str(i), 100, (("red", 0.5),) * 10) for i in range(6)]
    path = str(tmp_path / "contact-sheet.png")
    contact_sheet.write([*groups, Group("none", 0, ())], noting, path)
    assert asked == [10] * 6  # a call for each label, and none for one without pictures
    assert len(opened) == 60
    assert not looked  # for fonts: Pillow's own has these letters
    with open_image(path) as drawn:
        assert drawn.format == "PNG"


def test_of_many_labels_those_with_the_most_pictures_are_shown():
    """1,000 labels with eight pictures each would be an image of 800 MB."""
    groups = [Group(f"label {i}", i % 7 * i, (("red", 0.5),) * (i % 7 and 8)) for i in range(400)]
    asked = []
    drawn = contact_sheet.draw(groups, lambda digests: asked.append(1) or thumbnails(digests))
    assert len(asked) == contact_sheet.MOST
    assert drawn.height < (contact_sheet.MOST + 1) * (HEADING + CELL + 60)
    shown, line = contact_sheet._shown(groups)
    assert [group.label for group in shown] == sorted(
        (group.label for group in shown), key=lambda label: int(label.split()[1])
    )
    least = min(group.count for group in shown)
    left = [group for group in groups if group not in shown]
    assert max(group.count for group in left) <= least
    assert line == (
        f"not shown: 300 more labels, pictures with them: {sum(one.count for one in left):,}"
    )
    html = contact_sheet.html(groups, thumbnails)
    assert html.count("<bdi>") == contact_sheet.MOST and line in html
    contact_sheet.draw([Group(str(i), 0, ()) for i in range(400)], thumbnails)  # and none has any


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0, "0 %"), (0.004, "< 1 %"), (0.5, "50 %"), (0.996, "> 99 %"), (1, "100 %")],
)
def test_percent_never_rounds_to_a_certainty(probability, text):
    assert contact_sheet.percent(probability) == text


def test_html_is_whole_in_itself_and_small():
    groups = [Group("cat", 8, (("red", 0.9),) * 8), Group("other", 0, ())]
    html = contact_sheet.html(groups, thumbnails)
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert len(pictures) == 8
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0]))).format == "JPEG"
    assert "//" not in re.sub(r'base64,[^"]+', "", html)  # nothing is fetched
    assert html.index(">cat<") < html.index("data:image") < html.index(">other<")


def test_html_makes_text_of_a_hostile_label():
    html = contact_sheet.html([Group('<script>alert(1)</script>"&', 0, ())], thumbnails)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;" in html
    contact_sheet.html([Group("\udcff", 0, ())], thumbnails).encode("utf-8")
