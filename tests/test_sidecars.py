"""Tags in XMP sidecars, read back by a reader that is not ours."""

from __future__ import annotations

import codecs
import json
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.colours import ColourEncoder
from tests.making import JPEG, photos, planned, put, statuses, tree, xmp
from tests.reviewing import colour_run
from tests.systems import posix
from zeroshelf import classify, reopen
from zeroshelf.actions import plan_file
from zeroshelf.actions.apply import apply
from zeroshelf.actions.tags import keyword_lists, sidecars
from zeroshelf.actions.tags.keyword_lists import Keywords
from zeroshelf.actions.undo import undo
from zeroshelf.errors import Unreadable
from zeroshelf.images import scan
from zeroshelf.records import Picture
from zeroshelf.review.jobs import Jobs
from zeroshelf.review.session import Session


def read_back(*paths: Path) -> list[dict[str, object]]:
    """As exiftool sees them."""
    if not shutil.which("exiftool"):
        pytest.skip("no independent reader: apt-get install libimage-exiftool-perl")
    command = ["exiftool", "-j", "-struct", "-G1", "-XMP:all", "-validate", "-warning", "-a"]
    answer = subprocess.run([*command, *map(str, paths)], capture_output=True, check=False)
    found: list[dict[str, object]] = json.loads(answer.stdout)
    return found


RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
LR = 'xmlns:lr="http://ns.adobe.com/lightroom/1.0/"'
DIGIKAM = 'xmlns:digiKam="http://www.digikam.org/ns/1.0/"'
MS = 'xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/"'
MEDIAPRO = 'xmlns:mediapro="http://ns.iview-multimedia.com/mediapro/1.0/"'
ACDSEE = 'xmlns:acdsee="http://ns.acdsee.com/iptc/1.0/"'


def bag(name: str, declared: str, *items: str, container: str = "Bag") -> str:
    """A list as other programs write it, indented."""
    inner = "".join(f"\n     <rdf:li>{item}</rdf:li>" for item in items)
    return (
        f"<{name} {declared}>\n    <rdf:{container}>{inner}\n    </rdf:{container}>\n   </{name}>"
    )


def packet(*properties: str, about: str = ' rdf:about=""') -> bytes:
    """A sidecar with these properties in one description."""
    inner = "".join(f"\n   {one}" for one in properties)
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n <rdf:RDF xmlns:rdf="{RDF}">\n'
        f"  <rdf:Description{about}>{inner}\n  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n"
    ).encode()


def lists(data: bytes) -> dict[str, list[str]]:
    """The document's own lists, read by ElementTree: what lies directly in the descriptions that
    lie directly in rdf:RDF and are about the document."""
    root = ElementTree.fromstring(data)
    rdf = root if root.tag == f"{{{RDF}}}RDF" else root.find(f"{{{RDF}}}RDF")
    assert rdf is not None
    found: dict[str, list[str]] = {}
    for description in rdf.findall(f"{{{RDF}}}Description"):
        if description.get(f"{{{RDF}}}about", ""):
            continue
        for one in description:
            items = one.findall(f"*/{{{RDF}}}li")
            found.setdefault(one.tag.split("}")[1], []).extend(i.text or "" for i in items)
    return found


def listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


LABELS = ["cat", "animals/cat", 'a <b>cat</b> & "dog"', "Café 😀", "猫/黒", "x|y"]


@pytest.mark.parametrize("old", [None, xmp(), xmp(b"<!-- kept -->")], ids=["new", "old", "comment"])
def test_exiftool_reads_what_was_meant(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "a.jpg.xmp"
    data = old
    wanted = [sidecars.tag(label, "zeroshelf") for label in LABELS]
    for tag in wanted:
        data = sidecars.add(data, tag)
    assert data is not None
    path.write_bytes(data)
    (seen,) = read_back(path)
    assert seen["XMP-dc:Subject"] == wanted
    assert seen["XMP-digiKam:TagsList"] == wanted
    assert seen["XMP-lr:HierarchicalSubject"] == [tag.replace("/", "|") for tag in wanted]
    assert seen["ExifTool:Validate"] in ("OK", "0 0 0")
    assert (old is None) or seen["XMP-xmp:Rating"] == 4
    assert sidecars.tags(data) == set(wanted)
    for tag in wanted:
        assert sidecars.add(data, tag) == data, "twice is once"


def test_merged_into_what_is_there_and_taken_away_again(tmp_path: Path) -> None:
    mine = (
        b'<dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/"><r:Bag><r:li>family</r:li>'
        b'</r:Bag></dc:subject><lr:hierarchicalSubject xmlns:lr="urn:not-lightroom">x'
        b"</lr:hierarchicalSubject>"
    )
    old = xmp(mine)
    new = sidecars.add(sidecars.add(old, "zs/animals/cat"), "zs/dog")
    for kept in (b"urn:not-lightroom", b"<r:li>family</r:li>", b'xmp:Rating="4"', b"<?xpacket end"):
        assert kept in new
    (tmp_path / "a.xmp").write_bytes(new)
    (seen,) = read_back(tmp_path / "a.xmp")
    assert seen["XMP-dc:Subject"] == ["family", "zs/animals/cat", "zs/dog"]
    (tmp_path / "b.xmp").write_bytes(sidecars.remove(new, "zs") or b"")
    (seen,) = read_back(tmp_path / "b.xmp")
    assert listed(seen["XMP-dc:Subject"]) == ["family"]
    assert "XMP-digiKam:TagsList" not in seen
    assert sidecars.remove(old, "zs") == old
    once = sidecars.remove(sidecars.add(old, "zs/cat"), "zs")
    assert once is not None and sidecars.remove(sidecars.add(once, "zs/cat"), "zs") == once


@settings(max_examples=100, deadline=None)
@given(label=st.text(max_size=40), prefix=st.text(max_size=10))
def test_any_label_makes_a_whole_sidecar(label: str, prefix: str) -> None:
    tag = sidecars.tag(label, "p" + prefix)
    data = sidecars.add(None, tag)
    assert sidecars.tags(data) == {tag}
    assert not any(ord(c) < 32 for c in tag)
    if "/" in tag:
        assert sidecars.remove(data, tag.split("/", maxsplit=1)[0]) is None
    mine = sidecars.add(data, "mine")
    left = sidecars.remove(mine, "p" if tag.startswith("p/") else tag)
    assert left is not None and "mine" in sidecars.tags(left)


@pytest.mark.parametrize(
    "data",
    [b"", b"<x/>", b"no xml", xmp()[:-60], b'<!DOCTYPE x [<!ENTITY a "aa">]>' + xmp()],
)
def test_what_is_no_xmp_stays_as_it_is(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Unreadable):
        sidecars.add(data, "zs/cat")
    put(tmp_path / "a.jpg", JPEG)
    put(tmp_path / "a.jpg.xmp", data)
    start = tree(tmp_path)
    outcomes = apply(planned(tmp_path, tmp_path, "tag", ["cat"]))
    assert [o.status for o in outcomes] == ["refused"]
    assert "sidecar" in outcomes[0].reason
    assert tree(tmp_path) == start


@pytest.mark.parametrize(
    ("name", "companions", "sidecar"),
    [
        ("a.jpg", [], "a.jpg.xmp"),
        ("a.CR2", [], "a.xmp"),
        ("a.CR2", ["a.CR2.xmp"], "a.CR2.xmp"),
        ("a.jpg", ["A.XMP"], "A.XMP"),
        ("a.jpg", ["a.xmp", "a.jpg.xmp"], "a.jpg.xmp"),
        ("a.jpg", ["a.cr2", "a.cr2.xmp"], "a.jpg.xmp"),
    ],
)
def test_which_sidecar(name: str, companions: list[str], sidecar: str) -> None:
    picture = Picture(f"/x/{name}", "JPEG", 1, 1, 1, tuple(f"/x/{c}" for c in companions))
    assert sidecars.path_for(picture) == f"/x/{sidecar}"


def test_tagging_is_undone_to_the_byte(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", 12)
    start = tree(source)
    record = planned(source, source, "tag", ["cat", "animals/dog", "other"])
    made = plan_file.load(os.path.join(record, "plan.jsonl"))
    assert len(made.actions) == 8
    assert statuses(apply(record)) == {"done"}
    assert statuses(apply(record)) == {"already"}
    after = tree(source)
    assert {p for p in start if not p.endswith(b".xmp") and start[p] != after[p]} <= {
        p for p in start if start[p].content is None
    }
    record_again = planned(source, source, "tag", ["cat", "animals/dog", "other"])
    again = plan_file.load(os.path.join(record_again, "plan.jsonl"))
    assert not again.actions
    assert "8 have their tag already" in again.notes[0]
    if shutil.which("exiftool"):
        seen = read_back(source / "a.xmp")
        assert listed(seen[0]["XMP-digiKam:TagsList"]) == ["zeroshelf/cat"]
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == start


@posix
def test_untagging_takes_what_was_added_and_is_undone_to_the_byte(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", 12)
    put(source / "new.jpg", JPEG)
    put(source / "left.xmp", sidecars.add(None, "zeroshelf/of a picture that is gone"))
    put(source / "mine.xmp", sidecars.add(xmp(), "mine/cat"))
    start = tree(source)
    apply(planned(source, source, "tag"))
    made = source / "new.jpg.xmp"
    made.chmod(0o600)
    attributes = hasattr(os, "setxattr")
    if attributes:
        try:
            os.setxattr(made, "user.rating", b"5")
        except OSError:
            attributes = False
    tagged = tree(source)
    record = planned(source, source, "untag")
    assert statuses(apply(record)) == {"done"}
    assert statuses(apply(record)) == {"already"}
    now = tree(source)
    assert start.keys() - now.keys() == {os.fsencode(source / "left.xmp")}
    assert now.keys() <= start.keys(), "a sidecar that was made for tags stays without them"
    for path, node in now.items():
        if path.endswith(b".xmp"):
            assert node.content is not None and sidecars.tags(node.content) <= {"mine/cat"}
            assert b"Rating" in node.content and node.mode == start[path].mode
        elif node.content is not None:
            assert node == start[path], "a picture was touched"
    again = plan_file.load(os.path.join(planned(source, source, "untag"), "plan.jsonl"))
    assert not again.actions
    assert statuses(undo(record)) == {"done"}
    assert tree(source) == tagged


def test_untag_leaves_what_changed_since_the_plan_and_undo_what_changed_since_it(
    tmp_path: Path,
) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        put(tmp_path / name, JPEG)
    apply(planned(tmp_path, tmp_path, "tag", ["cat"]))
    record = planned(tmp_path, tmp_path, "untag")
    edited = sidecars.add((tmp_path / "a.jpg.xmp").read_bytes(), "mine/too")
    (tmp_path / "a.jpg.xmp").write_bytes(edited)
    (tmp_path / "b.jpg.xmp").unlink()
    outcomes = {os.path.basename(o.action.target): o for o in apply(record)}
    assert outcomes["a.jpg.xmp"].reason == "it has changed since the plan was made"
    assert outcomes["b.jpg.xmp"].reason == "it no longer exists"
    assert (tmp_path / "a.jpg.xmp").read_bytes() == edited
    (tmp_path / "c.jpg.xmp").write_bytes(xmp())
    left = {os.path.basename(o.action.target): o for o in undo(record)}
    assert left.keys() == {"c.jpg.xmp", "d.jpg.xmp"}
    assert left["c.jpg.xmp"].reason == "the sidecar has changed since"
    assert (tmp_path / "c.jpg.xmp").read_bytes() == xmp()
    assert sidecars.tags((tmp_path / "d.jpg.xmp").read_bytes()) == {"zeroshelf/cat"}


def test_a_reviewed_run_keeps_its_prefix_and_its_sidecars(tmp_path: Path) -> None:
    run = colour_run(tmp_path, 2)
    put(tmp_path / "pictures" / "blue-00.xmp", xmp())
    run = classify(run.request.folder, ["red", "green"], encoder=ColourEncoder())
    run.save(run.plan(action="tag", prefix="auto"))
    with Session(reopen(run.id, encoder=ColourEncoder())) as session:
        rows = [session.row_of["blue-00.png"], session.row_of["blue-01.png"]]
        session.place(rows, "green")
        assert session.update_plan()
        jobs = Jobs(session)
        jobs.apply()
        jobs.wait()
        assert jobs.progress.state == "applied"
    assert {path.name for path in (tmp_path / "pictures").glob("blue*.xmp")} == {
        "blue-00.xmp",
        "blue-01.png.xmp",
    }
    for sidecar in (tmp_path / "pictures").glob("blue*.xmp"):
        assert sidecars.tags(sidecar.read_bytes()) == {"auto/green"}
    assert statuses(run.apply(run.plan(action="untag", prefix="auto"))) == {"done"}
    assert [path.name for path in (tmp_path / "pictures").glob("*.xmp")] == ["blue-00.xmp"]


def test_undo_leaves_a_sidecar_that_was_edited_since(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", JPEG)
    record = planned(tmp_path, tmp_path, "tag", ["cat"])
    apply(record)
    edited = sidecars.add((tmp_path / "a.jpg.xmp").read_bytes(), "mine/too")
    (tmp_path / "a.jpg.xmp").write_bytes(edited)
    (outcome,) = undo(record)
    assert (outcome.status, outcome.reason) == ("refused", "the sidecar has changed since")
    assert (tmp_path / "a.jpg.xmp").read_bytes() == edited
    assert scan.scan(str(tmp_path)).pictures[0].companions == (str(tmp_path / "a.jpg.xmp"),)


HIERARCHIES = {
    "lightroom": (bag("lr:hierarchicalSubject", LR, "People|grandma"), "People/grandma"),
    "lightroom, old": (bag("lr:HierarchicalSubject", LR, "People|grandma"), "People/grandma"),
    "microsoft": (bag("MicrosoftPhoto:LastKeywordXMP", MS, "People/grandma"), "People/grandma"),
    "microsoft, no slash": (
        bag("m:LastKeywordXMP", 'xmlns:m="http://ns.microsoft.com/photo/1.0"', "People/grandma"),
        "People/grandma",
    ),
    "mediapro": (bag("mediapro:CatalogSets", MEDIAPRO, "People|grandma"), "People/grandma"),
    "acdsee": (
        f'<acdsee:categories {ACDSEE}>&lt;Categories>&lt;Category Assigned="0">People&lt;Category '
        'Assigned="1">grandma&lt;/Category>&lt;/Category>&lt;/Categories></acdsee:categories>',
        "People/grandma",
    ),
    "flat": (bag("dc:subject", DC, "grandma"), "grandma"),
    "a slash in a part": (bag("lr:hierarchicalSubject", LR, "Music|AC/DC"), "Music/AC|DC"),
    "an entity": (bag("lr:hierarchicalSubject", LR, "A &amp; B|c"), "A & B/c"),
    "CDATA": (bag("lr:hierarchicalSubject", LR, "<![CDATA[People|grandma]]>"), "People/grandma"),
}


@pytest.mark.parametrize("case", HIERARCHIES)
def test_keywords_that_a_new_list_would_hide_are_in_it_too_and_go_with_it(case: str) -> None:
    held, path = HIERARCHIES[case]
    old = packet(held)
    new = sidecars.add(old, "zeroshelf/cat")
    found = lists(new)
    assert found["TagsList"] == [path, "zeroshelf/cat"]
    assert "zeroshelf/cat" in found["subject"]
    assert "zeroshelf|cat" in found["hierarchicalSubject"]
    assert sidecars.add(new, "zeroshelf/cat") == new
    twice = sidecars.add(new, "zeroshelf/dog")
    assert lists(twice)["TagsList"] == [path, "zeroshelf/cat", "zeroshelf/dog"]
    assert sidecars.remove(twice, "zeroshelf") == old, "to the byte"
    assert sidecars.rewrite(new, [], ["zeroshelf/cat"]) == old


def test_acdsee_categories_as_an_attribute_are_found() -> None:
    text = "&lt;Categories>&lt;Category Assigned='1'>Trips&lt;/Category>&lt;/Categories>"
    old = packet(about=f' rdf:about="" {ACDSEE} acdsee:categories="{text}"')
    assert lists(sidecars.add(old, "zs/cat"))["TagsList"] == ["Trips", "zs/cat"]


def test_the_words_of_a_hierarchy_are_not_listed_once_more_by_themselves() -> None:
    old = packet(
        bag("dc:subject", DC, "People", "grandma", "beach"),
        bag("lr:hierarchicalSubject", LR, "People|grandma"),
    )
    found = lists(sidecars.add(old, "zs/cat"))
    assert found["TagsList"] == ["People/grandma", "beach", "zs/cat"]
    assert found["hierarchicalSubject"] == ["People|grandma", "zs|cat"]
    assert found["subject"] == ["People", "grandma", "beach", "zs/cat"]


def test_darktable_keeps_the_plain_words_when_it_reads_the_hierarchy() -> None:
    old = packet(bag("dc:subject", DC, "beach"))
    new = sidecars.add(old, "zs/cat")
    assert lists(new)["hierarchicalSubject"] == ["beach", "zs|cat"]
    assert sidecars.remove(new, "zs") == old


def test_a_list_that_the_user_has_already_gets_our_tag_alone() -> None:
    old = packet(
        bag("digiKam:TagsList", DIGIKAM, "Places/Rome", container="Seq"),
        bag("lr:hierarchicalSubject", LR, "People|grandma"),
    )
    new = sidecars.add(old, "zs/cat")
    assert lists(new)["TagsList"] == ["Places/Rome", "zs/cat"]
    assert sidecars.remove(new, "zs") == old


def test_an_entry_that_the_user_added_keeps_the_list_and_what_was_copied_into_it() -> None:
    old = packet(bag("lr:hierarchicalSubject", LR, "People|grandma"))
    new = sidecars.add(old, "zs/cat")
    edited = new.replace(b"<rdf:li>zs/cat</rdf:li></rdf:Seq>", b"<rdf:li>zs/cat</rdf:li>"
                         b"<rdf:li>mine</rdf:li></rdf:Seq>")  # fmt: skip
    assert edited != new
    left = sidecars.remove(edited, "zs")
    assert left is not None
    # Without the copies, grandma would be hidden from Immich.
    assert lists(left)["TagsList"] == ["People/grandma", "mine"]
    assert "Copied" not in lists(left), "it is the user's list now"
    assert sidecars.remove(left, "zs") == left


def test_an_entry_that_the_user_removed_from_the_copies_keeps_the_rest() -> None:
    old = packet(bag("lr:hierarchicalSubject", LR, "People|grandma", "Places|Rome"))
    new = sidecars.add(old, "zs/cat")
    edited = new.replace(b"<rdf:li>People/grandma</rdf:li>", b"")
    left = sidecars.remove(edited, "zs")
    assert left is not None and lists(left)["TagsList"] == ["Places/Rome"]


def test_a_list_that_an_earlier_version_made_for_its_tag_alone_is_completed() -> None:
    old = packet(
        bag("lr:hierarchicalSubject", LR, "People|grandma", "zeroshelf|cat"),
        bag("digiKam:TagsList", DIGIKAM, "zeroshelf/cat", container="Seq"),
    )
    new = sidecars.add(old, "zeroshelf/dog")
    assert lists(new)["TagsList"] == ["zeroshelf/cat", "People/grandma", "zeroshelf/dog"]


def test_keywords_in_the_picture_itself_are_not_hidden_by_a_new_sidecar() -> None:
    known = Keywords(flat=("family", "grandma"), paths=("People/grandma",))
    new = sidecars.rewrite(None, ["zs/cat"], [], known)
    assert new is not None
    assert lists(new)["subject"] == ["family", "grandma", "zs/cat"]
    assert lists(new)["hierarchicalSubject"] == ["People|grandma", "family", "zs|cat"]
    assert lists(new)["TagsList"] == ["People/grandma", "family", "zs/cat"]
    assert sidecars.remove(new, "zs") is None, "nothing else is in it"


def test_rewrite_replaces_exact_tags_in_every_list() -> None:
    old = packet(
        bag("dc:subject", DC, "zs/cat", "zs/cats", "family"),
        bag("lr:hierarchicalSubject", LR, "zs|cat", "zs|cat|black", "mine"),
        bag("digiKam:TagsList", DIGIKAM, "zs/cat", "mine", container="Seq"),
        bag("mediapro:CatalogSets", MEDIAPRO, "zs|cat", "mine"),
    )
    new = sidecars.rewrite(old, ["zs/dog"], ["zs/cat", "zs/never"])
    assert new is not None
    assert lists(new) == {
        "subject": ["zs/cats", "family", "zs/dog"],
        "hierarchicalSubject": ["zs|cat|black", "mine", "zs|dog"],
        "TagsList": ["mine", "zs/dog"],
        "CatalogSets": ["mine"],
    }
    assert sidecars.rewrite(old, [], ["zs/never"]) is old
    assert sidecars.rewrite(old, [], []) is old
    assert sidecars.rewrite(None, [], ["zs/cat"]) is None
    made = sidecars.add(None, "zs/cat")
    assert sidecars.rewrite(made, [], ["zs/cat"]) is None
    assert sidecars.rewrite(made, ["zs/dog"], ["zs/cat"]) == sidecars.add(None, "zs/dog")
    both = packet(bag("lr:hierarchicalSubject", LR, "People|grandma"))
    replaced = sidecars.rewrite(sidecars.add(both, "zs/cat"), ["zs/dog"], ["zs/cat"])
    assert replaced == sidecars.add(both, "zs/dog")


LOGO = f"<dc:subject {DC}><rdf:Bag><rdf:li>zeroshelf/logo</rdf:li></rdf:Bag></dc:subject>"
MM = 'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"'
INGREDIENTS = {
    "pantry": f"<xmpMM:Pantry {MM}><rdf:Bag><rdf:li><rdf:Description>{LOGO}</rdf:Description>"
    "</rdf:li></rdf:Bag></xmpMM:Pantry>",
    "pantry, parseType": f'<xmpMM:Pantry {MM}><rdf:Bag><rdf:li rdf:parseType="Resource">{LOGO}'
    "</rdf:li></rdf:Bag></xmpMM:Pantry>",
    "ingredients": f'<xmpMM:Ingredients {MM}><rdf:Bag><rdf:li rdf:parseType="Resource">{LOGO}'
    "</rdf:li></rdf:Bag></xmpMM:Ingredients>",
    "derived from": f'<xmpMM:DerivedFrom {MM} rdf:parseType="Resource">{LOGO}</xmpMM:DerivedFrom>',
    "history": f"<xmpMM:History {MM}><rdf:Seq><rdf:li><rdf:Description>{LOGO}</rdf:Description>"
    "</rdf:li></rdf:Seq></xmpMM:History>",
    "a typed node": f'<xmpMM:Manifest {MM}><rdf:Bag><rdf:li><xmpMM:Thing rdf:about="">{LOGO}'
    "</xmpMM:Thing></rdf:li></rdf:Bag></xmpMM:Manifest>",
    "layers": '<p:DocumentAncestors xmlns:p="http://ns.adobe.com/photoshop/1.0/"><rdf:Bag><rdf:li>'
    f'<rdf:Description rdf:about="">{LOGO}</rdf:Description></rdf:li></rdf:Bag>'
    "</p:DocumentAncestors>",
}


@pytest.mark.parametrize("inside", INGREDIENTS.values(), ids=INGREDIENTS)
def test_the_keywords_of_an_ingredient_are_neither_read_nor_written(inside: str) -> None:
    old = packet(inside)
    assert sidecars.keywords(old) == keyword_lists.NONE
    assert sidecars.remove(old, "zeroshelf") == old, "its tags aren't the picture's"
    new = sidecars.add(old, "zeroshelf/cat")
    assert lists(new)["subject"] == ["zeroshelf/cat"]
    assert inside.encode() in new
    assert sidecars.remove(new, "zeroshelf") == old


def test_the_document_is_the_description_with_its_about_wherever_it_stands() -> None:
    one = '<rdf:Description rdf:about="uuid:other" xmlns:e="urn:e" e:x="1"/>'
    two = '<rdf:Description xmlns:e="urn:e" e:y="2"/>'
    old = f'<rdf:RDF xmlns:rdf="{RDF}">{one}{two}</rdf:RDF>'.encode()
    new = sidecars.add(old, "zs/cat")
    assert lists(new)["subject"] == ["zs/cat"]
    assert one.encode() in new
    assert sidecars.remove(new, "zs") == old
    named = packet(about=' rdf:about="uuid:mine"')
    assert sidecars.tags(sidecars.add(named, "zs/cat")) == {"zs/cat"}


REFUSED = {
    "text": f"<dc:subject {DC}>family</dc:subject>",
    "structure": f'<dc:subject {DC} rdf:parseType="Resource"><dc:x>y</dc:x></dc:subject>',
    "reference": f'<dc:subject {DC} rdf:resource="urn:x"/>',
    "literal": f'<lr:hierarchicalSubject {LR} rdf:parseType="Literal"><b>x</b>'
    "</lr:hierarchicalSubject>",
    "two containers": f"<dc:subject {DC}><rdf:Bag/><rdf:Bag/></dc:subject>",
    "numbered items": f"<dc:subject {DC}><rdf:Bag><rdf:_1>x</rdf:_1></rdf:Bag></dc:subject>",
    "an undeclared prefix": "<undeclared:prefix/>",
}


@pytest.mark.parametrize("inside", REFUSED.values(), ids=REFUSED)
def test_another_form_than_a_list_is_refused_and_left_as_it_is(tmp_path: Path, inside: str) -> None:
    old = packet(inside)
    with pytest.raises(Unreadable, match="sidecar"):
        sidecars.add(old, "zs/cat")
    assert sidecars.remove(old, "zs") == old, "untag has nothing to say of it"
    put(tmp_path / "a.jpg", JPEG)
    put(tmp_path / "a.jpg.xmp", old)
    start = tree(tmp_path)
    (outcome,) = apply(planned(tmp_path, tmp_path, "tag", ["cat"]))
    assert outcome.status == "refused" and "sidecar" in outcome.reason
    assert tree(tmp_path) == start


@pytest.mark.parametrize(
    "data",
    [
        packet(about=f' rdf:about="" {DC} dc:subject="family"'),
        packet().replace(b"</rdf:RDF>", b'<rdf:Description rdf:about="a"/></rdf:RDF>').replace(
            b'about=""', b'about="b"'
        ),
        packet(LOGO, about=' rdf:about="uuid:other"').replace(
            b"</rdf:RDF>", b'<rdf:Description rdf:about=""/></rdf:RDF>'
        ),
        f'<rdf:RDF xmlns:rdf="{RDF}"/>'.encode(),
        b'<svg><metadata>' + packet() + b"</metadata></svg>",
        b'<?xml version="1.0" encoding="utf-7"?>' + packet(),
        packet().replace(b"<rdf:Description", b"\xff<rdf:Description"),
        b"<a>" * 100_000,
        packet() + packet(),
    ],
    ids=["attribute", "two files", "another's keywords", "nothing described", "in an SVG", "UTF-7",
         "no UTF-8", "deep", "two packets"],
)  # fmt: skip
def test_what_cannot_be_edited_safely_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        sidecars.add(data, "zs/cat")


WITH_BOM = xmp().decode().replace('begin=""', 'begin="\ufeff"')
FORMS = {
    "a BOM": b"\xef\xbb\xbf" + packet(),
    "UTF-16, little": codecs.BOM_UTF16_LE + WITH_BOM.encode("utf-16-le"),
    "UTF-16, big": codecs.BOM_UTF16_BE + WITH_BOM.encode("utf-16-be"),
    "UTF-16, no BOM": WITH_BOM.encode("utf-16-le"),
    "UTF-16, declared": codecs.BOM_UTF16_LE
    + ('<?xml version="1.0" encoding="UTF-16"?>' + packet().decode()).encode("utf-16-le"),
    "Latin-1": b'<?xml version="1.0" encoding="ISO-8859-1"?>'
    + packet("<e:x xmlns:e='urn:e'>caf\u00e9</e:x>").decode().encode("latin-1"),
    "padding": b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>' + packet()
    + (b" " * 99 + b"\n") * 20 + b'<?xpacket end="w"?>',
    "no wrapper": f'<rdf:RDF xmlns:rdf="{RDF}"><rdf:Description/></rdf:RDF>'.encode(),
    "an old wrapper": packet().replace(b"x:xmpmeta", b"x:xapmeta"),
    "default namespaces": f'<xmpmeta xmlns="adobe:ns:meta/"><RDF xmlns="{RDF}"><Description '
    f'about="" xmlns:r="{RDF}"/></RDF></xmpmeta>'.encode(),
    "prefixes that mean something else": packet().replace(
        b"<rdf:RDF", b'<rdf:RDF xmlns:dc="urn:dc" xmlns:lr="urn:lr" xmlns:digiKam="urn:d"'
    ),
    "other prefixes": packet(bag("a:subject", DC.replace("dc=", "a="), "mine")),
    "two descriptions": packet().replace(
        b"</rdf:RDF>", f"<rdf:Description {DC}>{LOGO}</rdf:Description></rdf:RDF>".encode()
    ),
    "language": packet(
        f'<dc:subject {DC}><rdf:Bag><rdf:li xml:lang="de">Katze</rdf:li></rdf:Bag></dc:subject>'
    ),
    "qualified": packet(
        f'<dc:subject {DC}><rdf:Bag><rdf:li rdf:parseType="Resource"><rdf:value>cat</rdf:value>'
        '<q:s xmlns:q="urn:q">1</q:s></rdf:li></rdf:Bag></dc:subject>'
    ),
    "an empty list": packet(f"<dc:subject {DC}><rdf:Bag/></dc:subject>"),
    "an empty property": packet(f"<digiKam:TagsList {DIGIKAM}/>"),
    "comments": packet("<!-- <dc:subject/> & more -->", bag("dc:subject", DC, "<!-- x -->mine")),
    "odd quotes": packet(about=" rdf:about='' xmlns:e='urn:e' e:x='a > b'"),
    "exiftool's": b"<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 12.57'>\n<rdf:RDF "
    b"xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\n\n <rdf:Description rdf:about=''\n"
    b"  xmlns:dc='http://purl.org/dc/elements/1.1/'>\n  <dc:subject>\n   <rdf:Bag>\n"
    b"    <rdf:li>y</rdf:li>\n   </rdf:Bag>\n  </dc:subject>\n </rdf:Description>\n\n"
    b" <rdf:Description rdf:about=''\n  xmlns:lr='http://ns.adobe.com/lightroom/1.0/'>\n"
    b"  <lr:hierarchicalSubject>\n   <rdf:Bag>\n    <rdf:li>People|grandma</rdf:li>\n"
    b"   </rdf:Bag>\n  </lr:hierarchicalSubject>\n </rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n",
    "CRLF": packet(bag("dc:subject", DC, "mine")).replace(b"\n", b"\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_sidecar_is_tagged_and_freed_again(tmp_path: Path, form: str) -> None:
    old = FORMS[form]
    before = sidecars.keywords(old)
    tags = ["zs/cat", "zs/caf\u00e9 \u732b", "zs/<b> & c"]
    new: bytes | None = old
    for tag in tags:
        new = sidecars.add(new, tag)
    assert new is not None
    after = sidecars.keywords(new)
    assert set(before.flat) <= set(after.flat)
    assert [tag for tag in after.flat if tag not in before.flat] == tags
    assert sidecars.tags(new) == {*before.all, *tags}
    left = sidecars.remove(new, "zs")
    assert left is not None and sidecars.keywords(left) == before
    if "empty" not in form:
        assert left == old, "to the byte"
    if b"<RDF" in old:
        return  # exiftool doesn't read what has no prefixes, with tags or without
    path = tmp_path / "a.xmp"
    path.write_bytes(new)
    (seen,) = read_back(path)
    assert [tag for tag in listed(seen["XMP-dc:Subject"]) if tag in tags] == tags
    assert [tag for tag in listed(seen["XMP-digiKam:TagsList"]) if tag in tags] == tags
    swapped = [tag.replace("/", "|") for tag in tags]
    assert [t for t in listed(seen["XMP-lr:HierarchicalSubject"]) if t in swapped] == swapped


def test_what_version_0_1_0_wrote_goes_entirely() -> None:
    """As minidom wrote it, with a declaration that a new sidecar of today doesn't have."""
    today = sidecars.add(None, "zeroshelf/cat")
    then = b'<?xml version="1.0" encoding="utf-8"?>' + today.replace(b"\n<x:", b"<x:").replace(
        b"\n<?xpacket end", b"<?xpacket end"
    )
    assert sidecars.tags(then) == {"zeroshelf/cat"}
    assert sidecars.remove(then, "zeroshelf") is None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_adding_and_removing_gives_the_same_bytes(data: st.DataObject) -> None:
    words = st.lists(st.text("ab/|&<\u00e9", min_size=1, max_size=4).map(str.strip).filter(bool))
    some = {
        ("dc:subject", DC): data.draw(words),
        ("lr:hierarchicalSubject", LR): data.draw(words),
        ("digiKam:TagsList", DIGIKAM): data.draw(words),
    }
    old = packet(*(bag(*key, *map(escape, items)) for key, items in some.items() if items))
    new = sidecars.rewrite(old, ["zs/cat", "zs/dog"], [])
    assert new is not None
    found = lists(new)
    for (name, _), items in some.items():
        assert found[name.split(":")[1]][: len(items)] == items
    assert sidecars.rewrite(new, [], ["zs/dog", "zs/cat"]) == old
    assert sidecars.remove(new, "zs") == old


# Keywords in the forms of other programs: read where they can be, and never a reason to fail.
ODD_FORMS = {
    "qualified items": (
        f'<dc:subject {DC}><rdf:Bag><rdf:li rdf:parseType="Resource"><rdf:value>cat</rdf:value>'
        "</rdf:li></rdf:Bag></dc:subject>",
    ),
    "a value as an attribute": (
        f'<dc:subject {DC}><rdf:Bag><rdf:li><rdf:Description rdf:value="cat"/></rdf:li></rdf:Bag>'
        "</dc:subject>",
    ),
    "an item that has no text": (
        f"<dc:subject {DC}><rdf:Bag><rdf:li><rdf:Description/></rdf:li><rdf:li>cat</rdf:li>"
        "</rdf:Bag></dc:subject>",
    ),
    "a mirror that is no list": (
        bag("dc:subject", DC, "cat")
        + f"<MicrosoftPhoto:LastKeywordXMP {MS}>dog</MicrosoftPhoto:LastKeywordXMP>",
    ),
    "categories that are no XML": (
        f"<acdsee:categories {ACDSEE}>&lt;Category&gt;dog</acdsee:categories>"
        + bag("dc:subject", DC, "cat"),
    ),
    "categories with a document type": (
        f"<acdsee:categories {ACDSEE}>&lt;!DOCTYPE a&gt;&lt;a/&gt;</acdsee:categories>"
        + bag("dc:subject", DC, "cat"),
    ),
}


@pytest.mark.parametrize("form", ODD_FORMS)
def test_keywords_in_odd_forms(form: str) -> None:
    assert sidecars.keywords(packet(*ODD_FORMS[form])) == Keywords(("cat",), ())
