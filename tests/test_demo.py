"""The demo's pictures are free, few and listed, and the starter sorts them correctly."""

import os
import re
from importlib import resources

import pytest
from PIL import Image

import zeroshelf
from zeroshelf.images.demo import demo_labels, demo_pictures

SHIPPED = resources.files("zeroshelf") / "data" / "demo"

SHELVES = {
    "cat": {"IMG_0425.jpg", "DSC01018.JPG"},
    "fish": {"IMG_0412.jpg", "IMG_0433.jpg", "IMG_0451.jpg", "DSC01017.JPG", "DSC01022.JPG"},
    "coffee": {"IMG_0418.jpg", "IMG_0419.jpg"},
}
BROKEN = "IMG_0436.jpg"


@pytest.fixture
def pictures(tmp_path):
    return demo_pictures(tmp_path / "pictures")


def files(root):
    return {
        os.path.relpath(os.path.join(folder, name), root)
        for folder, _, names in os.walk(root)
        for name in names
    }


def test_every_picture_is_listed_with_free_terms(pictures):
    listed = re.findall(
        r"^\| (\S.*?\.\w{3}) \|.*\| (.*?) \|$",
        SHIPPED.joinpath("SOURCES.md").read_text("utf-8"),
        re.M,
    )
    assert {name for name, _ in listed} == files(pictures)
    assert {terms for _, terms in listed} == {"CC0", "public domain"}


def test_the_pictures_are_few_and_small(pictures):
    found = [os.path.join(pictures, name) for name in files(pictures)]
    assert 16 <= len(found) - 1 <= 24
    assert sum(map(os.path.getsize, found)) < 1_200_000
    for path in found:
        with Image.open(path) as picture:
            assert picture.format == "JPEG"  # one of them says otherwise in its name
            assert max(picture.size) <= 400


def test_the_starter_sorts_them_and_leaves_the_unknown(pictures):
    assert demo_labels() == list(SHELVES)
    run = zeroshelf.classify(pictures, demo_labels())
    assert [os.path.basename(skip.path) for skip in run.skipped] == [BROKEN]
    on = {
        label: {os.path.basename(decision.picture.path) for decision in run.shelf(label)}
        for label in (*SHELVES, "other")
    }
    for label, meant in SHELVES.items():
        assert on[label] & meant, f"{label} has none of its pictures"
        wrong = on[label] - meant
        assert len(wrong) <= 1, f"{label} has {wrong}"
    unknown = (
        set(map(os.path.basename, files(pictures))) - {BROKEN} - set().union(*SHELVES.values())
    )
    assert len(on["other"] & unknown) >= len(unknown) - 1
