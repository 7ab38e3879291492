"""Which JSON of a Google Takeout belongs to which picture, for all names that exports had."""

from __future__ import annotations

import pytest

from zeroshelf.images.google_takeout import matches, original_of

LONG = "a name that is longer than what google has room"  # 47 characters, as of a picture
CUT = LONG[:46]  # as of its JSON
COUNTED = "123456789123456789123456789123456789_dscn0091"
UUID = "original_1d4caa6f-16c6-4c3d-901b-9387de10e528_"
WEDDING = "backyard_ceremony_wedding_photography_xxxxxxx_"


@pytest.mark.parametrize(
    ("media", "wanted"),
    [
        (["img_1.jpg"], {"img_1.jpg.json": "img_1.jpg"}),
        (["img_1.jpg"], {"img_1.jpg.supplemental-metadata.json": "img_1.jpg"}),
        (["img_1.jpg"], {"img_1.jpg.supplemental-meta.json": "img_1.jpg"}),
        (["img_1.jpg"], {"img_1.jpg.suppl.json": "img_1.jpg"}),
        (["img_1.jpg"], {"img_1.jpg.s.json": "img_1.jpg"}),
        (["img_1.jpg"], {"img_1.jpg..json": "img_1.jpg"}),
        (["img_1.jpg"], {"img_1.json": "img_1.jpg"}),
        (["img_1.jpg"], {"img_1.supplemental-metadata.json": "img_1.jpg"}),
        # numbers
        (
            ["img_1.jpg", "img_1(1).jpg", "img_1(12).jpg"],
            {
                "img_1.jpg.json": "img_1.jpg",
                "img_1.jpg(1).json": "img_1(1).jpg",
                "img_1.jpg(12).json": "img_1(12).jpg",
                "img_1.jpg(2).json": None,
            },
        ),
        (
            ["img_1.jpg", "img_1(1).jpg"],
            {
                "img_1.jpg.supplemental-metadata.json": "img_1.jpg",
                "img_1.jpg.supplemental-metadata(1).json": "img_1(1).jpg",
            },
        ),
        (
            ["img_1.jpg", "img_1(1).jpg"],
            {
                "img_1.jpg.suppl(1).json": "img_1(1).jpg",
                "img_1.jpg.(1).json": "img_1(1).jpg",
                "img_1(1).supplemental-metadata.json": "img_1(1).jpg",
                "img_1.supplemental-metadata(1).json": "img_1(1).jpg",
            },
        ),
        (["img(18).jpg"], {"img(18).jpg.supple(18).json": "img(18).jpg"}),
        (["img(18).jpg"], {"img(18).jpg.supplemental-metadata.json": "img(18).jpg"}),
        (["img_1.jpg"], {"img_1.jpg(1).json": None}),
        (["img_1(1).jpg"], {"img_1.jpg.json": None}),
        # cut names
        (
            [f"{LONG}.jpg", f"{LONG}(1).jpg"],
            {f"{CUT}.json": f"{LONG}.jpg", f"{CUT}(1).json": f"{LONG}(1).jpg"},
        ),
        ([f"{LONG} for.jpg"], {f"{CUT}.json": f"{LONG} for.jpg"}),
        (
            [f"{LONG}a.jpg", f"{LONG}b.jpg"],
            {f"{CUT}.json": f"{LONG}a.jpg", f"{CUT}(1).json": f"{LONG}b.jpg"},
        ),
        (
            [f"{COUNTED}.jpg", f"{COUNTED}(1).jpg"],
            {
                f"{COUNTED}.jp.supplemental-meta.json": f"{COUNTED}.jpg",
                f"{COUNTED}.jp.supplemental-meta(1).json": f"{COUNTED}(1).jpg",
            },
        ),
        ([f"{COUNTED}.jpg"], {f"{COUNTED}.json": f"{COUNTED}.jpg"}),
        ([f"{COUNTED}.jpg"], {f"{COUNTED}..json": f"{COUNTED}.jpg"}),
        ([f"{COUNTED}.jpg"], {f"{COUNTED}.jp.json": f"{COUNTED}.jpg"}),
        ([f"{UUID}p.jpg", f"{UUID}p(1).jpg"], {f"{UUID}.json": f"{UUID}p.jpg"}),
        ([f"{UUID}p(1).jpg"], {f"{UUID}.json": f"{UUID}p(1).jpg"}),
        (
            [f"{WEDDING}m(1494).jpg", f"{WEDDING}m(1495).jpg"],
            {
                f"{WEDDING}(1494).json": f"{WEDDING}m(1494).jpg",
                f"{WEDDING}(1495).json": f"{WEDDING}m(1495).jpg",
            },
        ),
        (["夏休みの写真その一家族旅行の思い出.jpg"], {"夏休みの写真その一家族旅行の思.json":
                                                    "夏休みの写真その一家族旅行の思い出.jpg"}),
        (["short_name.jpg"], {"short_na.json": None}),  # too short to have been cut
        # edited copies have none of their own
        (
            ["img_1.jpg", "img_1-edited.jpg", "img_1-edited(1).jpg", "img_1(1).jpg"],
            {"img_1.jpg.json": "img_1.jpg", "img_1.jpg(1).json": "img_1(1).jpg"},
        ),
        (["img_1-edited.jpg"], {"img_1.jpg.json": "img_1-edited.jpg"}),
        (["img_1-bearbeitet(2).jpg"], {"img_1.jpg(2).json": "img_1-bearbeitet(2).jpg"}),
        (["img_1-edited(1).jpg", "img_1.jpg"], {"img_1.jpg(1).json": "img_1-edited(1).jpg"}),
        # one picture each, the best
        (["a.jpg", "a.png"], {"a.png.json": "a.png", "a.jpg.json": "a.jpg", "a.json": "a.jpg"}),
        (["a.png", "a.jpg"], {"a.json": "a.png"}),  # the first of what fits alike
        (["img_1.jpg"], {"img_1.heic.json": "img_1.jpg"}),
        (["img_1.jpg"], {"img_1.heic.json": None, "img_1.jpg.json": "img_1.jpg"}),
        (["img_1.heic", "img_1.mov"], {"img_1.mov.json": "img_1.mov"}),
        (["a.b.c.jpg"], {"a.b.c.jpg.json": "a.b.c.jpg", "a.b.json": None}),
        # and none where nothing fits
        (["a.jpg"], {"metadata.json": None, "b.jpg.json": None, "a.jpg.other.json": None}),
        ([], {"a.jpg.json": None}),
        (["2020 (2).jpg"], {"2020 (2).supplemental-metadata.json": "2020 (2).jpg"}),  # our number
    ],
)  # fmt: skip
def test_the_picture_of_a_json(media: list[str], wanted: dict[str, str | None]) -> None:
    found = matches(wanted, media)
    assert {name: found.get(name) for name in wanted} == wanted


def test_every_length_at_which_google_may_cut() -> None:
    for title in ("img_1.jpg", f"{COUNTED}.jpg", f"{LONG} for all that.jpg"):
        whole = f"{title}.supplemental-metadata"
        for end in range(min(40, len(title)), len(whole) + 1):
            name = f"{whole[:end]}.json"
            assert matches([name], [title]) == {name: title}, name


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("img_1-edited.jpg", "img_1.jpg"),
        ("img_1-bearbeitet(3).jpg", "img_1(3).jpg"),
        ("img_1-modifié.jpg", "img_1.jpg"),
        ("img_1-ha editado.jpg", "img_1.jpg"),
        (f"{COUNTED}-ha edit.jpg", f"{COUNTED}.jpg"),
        ("img_1-editing.jpg", None),
        ("img_1-ha edit.jpg", None),  # too short to have been cut
        ("-edited.jpg", None),
        ("img_1.jpg", None),
        ("a-b.jpg", None),
    ],
)
def test_the_original_of_an_edited_copy(name: str, original: str | None) -> None:
    assert original_of(name) == original
