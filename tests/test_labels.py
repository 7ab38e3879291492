"""The user's own words become a label set, and every mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from zeroshelf.errors import UserError
from zeroshelf.labels.labels_file import read, write
from zeroshelf.labels.normalise import dictionary_form, phrase
from zeroshelf.labels.parse import parse
from zeroshelf.labels.prompts import NATIVE, TEMPLATES, label_prompts, mean_vectors
from zeroshelf.records import Label, LabelSet


def test_words_of_the_command_line() -> None:
    labels = parse([" cat ", "dog=puppy, golden  retriever", "animals/red_panda", "!cartoon"])
    assert labels.labels == (
        Label("cat"),
        Label("dog", ("puppy", "golden retriever")),
        Label("animals/red_panda"),
    )
    assert labels.negatives == ("cartoon",)
    assert phrase("animals/red_panda") == phrase("Photos of a red panda") == "red panda"
    assert phrase("There is a dog in the picture.") == phrase("image showing some dog") == "dog"
    for look in ("drawing of a dog", "passport photo"):
        assert phrase(look) == look
    assert phrase("FOOD!") == "FOOD" and phrase("Screenshots?") == "Screenshots"
    assert phrase("the") == "the" and phrase("?!") == "?!"
    assert phrase("theatre") == "theatre"


def test_a_mapping_names_other_words() -> None:
    labels = parse({"dog": ["puppy"], "cat": "kitten", "bird": None})
    assert [label.words for label in labels] == [("puppy",), ("kitten",), ()]
    assert parse(labels) is labels


@pytest.mark.parametrize("name", ["other", "Misc", "the rest"])
def test_a_label_that_says_other_is_the_shelf_that_is_always_there(name: str) -> None:
    assert parse(["cat", name]).names == ("cat",)
    with pytest.raises(UserError, match="name at least one shelf"):
        parse([name])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "name at least one shelf"),
        (["  "], "empty"),
        (["cat", "Cat"], "given twice"),
        (["caf\u00e9", "cafe\u0301"], "given twice"),  # composed, and as a Mac types it
        (["cat", "!Cat"], "asks for what !Cat keeps from every shelf"),
        (["pets/cat=kitten", "!a kitten"], "label 'pets/cat' asks for what !a kitten keeps"),
        (["cat", "!the cats"], "asks for what !the cats keeps from every shelf"),
        (["dog=puppy, !toy dog"], "'!toy dog' is no word"),
        (["_"], "'_' has no word"),
        (["pets/_"], "'pets/_' has no word"),
        (["cat=__"], "'__' has no word"),
        (["cat", "!_"], "'_' has no word"),
        (["cat", "other=cartoon"], "'other' is for what fits no label"),
        ([1, 2], "1 isn't text"),
        (["other"], "always there"),
        (["a//b"], "between slashes"),
        (["../up"], "between slashes"),
        (["a\x07b"], "can't be seen"),
        ("cat", "give a list"),
    ],
)
def test_what_is_no_label_is_refused_in_one_line(words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says) as trouble:
        parse(words)
    assert "\n" not in str(trouble.value)


FILE = """\
kind = "pet"
language = "de"
templates = ["ein Foto von {}."]
negatives = ["cartoon"]

[labels]
cat = []
dog = ["puppy"]
"animals/crane" = { words = ["heron"], prompts = ["a tall grey bird"], threshold = 0.6 }
"""


def test_a_file_is_read_and_written_back(tmp_path: Path) -> None:
    (tmp_path / "labels.toml").write_text(FILE)
    labels = read(tmp_path / "labels.toml")
    assert labels == LabelSet(
        labels=(
            Label("cat"),
            Label("dog", ("puppy",)),
            Label("animals/crane", ("heron",), ("a tall grey bird",), 0.6),
        ),
        kind="pet",
        templates=("ein Foto von {}.",),
        negatives=("cartoon",),
        language="de",
    )
    (tmp_path / "again.toml").write_text(write(labels))
    assert read(tmp_path / "again.toml") == labels


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n[labels]\ncat = []\n", "line 1, x: unknown key"),
        ("[labels]\ncat = []\ndog = 3\n", "line 3, labels.dog: must be a list"),
        ("[labels]\ncat = []\n\ndog = { wrds = [] }\n", "line 4, labels.dog.wrds: unknown key"),
        ("[labels.cat]\nthreshold = 2\n", "line 2, labels.cat.threshold: 2 must be"),
        ("[labels.cat]\nthreshold = true\n", "line 2, labels.cat.threshold"),
        ("[labels]\ncat = [1]\n", "line 2, labels.cat.words: 1 isn't text"),
        ('[labels]\n"a//b" = []\n', "line 2, labels.a//b"),
        (
            'templates = ["a photo"]\n[labels]\ncat = []\n',
            'line 1, templates: .* contain "{}" once',
        ),
        ('\nlanguage = "english"\n[labels]\ncat = []\n', "line 2, language"),
        ("[labels]\ncat = [\n", "labels.toml: end of document"),
        ("[labels]\ncat == []\n", "labels.toml: line 2, column 6"),
        ("kind = 'bird'\n", r"no \[labels\] table"),
        ("[labels]\ncat = []\nCAT = []\n", "line 3, labels.CAT: label 'CAT' is given twice"),
        ('labels = ["cat", "cat"]\n', "line 1, labels: label 'cat' is given twice"),
        ('[labels]\n"a\u202eb" = []\n', "line 2, labels.a"),
        ('[labels]\ncat = ["a", "dog"]\ndog = 3\n', "line 3, labels.dog"),
        ("[labels]\ncat = []\n# dog = []\ndog = 3\n", "line 4, labels.dog"),
        ('[labels]\n"!cartoon" = []\n', 'line 2, labels.!cartoon: .* negatives = \\["cartoon"'),
        ("[labels]\ncat = []\nother = ['dog']\n", "line 3, labels.other: 'other' is for what"),
        ("[labels]\n", "line 1, labels: no labels"),
        ('[labels]\ncat = []\ndog = ["!toy"]\n', "line 3, labels.dog: '!toy' is no word"),
        ("negatives = ['!toy']\n[labels]\ncat = []\n", "line 1, negatives: '!toy' is no word"),
        (
            '\nnegatives = ["kitten"]\n[labels]\ncat = ["kitten"]\n',
            "line 2, negatives: label 'cat'",
        ),
        ("[labels]\nred car = []\n", "line 2, column 5: .* in quotes"),
        ("[labels]\n\u732b = []\n", "line 2, column 1: .* in quotes"),
        ("[labels]\ncat = [kitten]\n", "line 2, column 8: .*put text in quotes"),
        ("[labels]\ncat = []\ncat = []\n", "line 3, .* is given twice"),
    ],
)
def test_every_mistake_in_a_file_names_its_line_and_key(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "labels.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=says):
        read(tmp_path / "labels.toml")


def test_a_list_in_a_file_says_what_it_would_on_the_command_line(tmp_path: Path) -> None:
    listed = ["cat", "dog=puppy, golden retriever", "!cartoon"]
    (tmp_path / "labels.toml").write_text(f"negatives = ['toy']\nlabels = {listed}\n")
    read_back = read(tmp_path / "labels.toml")
    assert read_back.labels == parse(listed).labels
    assert read_back.negatives == ("toy", "cartoon")


def test_a_file_of_lists_in_lists_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "deep.toml").write_text(f"labels = {'[' * 9000}{']' * 9000}\n")
    with pytest.raises(UserError, match=r"deep\.toml: its lists are nested"):
        read(tmp_path / "deep.toml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.toml: can't be read"):
        read(tmp_path / "none.toml")


PLAIN = "# pets\n\ncat\n  red car  # mine\ndog=puppy, hound\nC# book\n!cartoon\nbird/jay\nother\n"
READ = LabelSet(
    (
        Label("cat"),
        Label("red car"),
        Label("dog", ("puppy", "hound")),
        Label("C# book"),
        Label("bird/jay"),
    ),
    negatives=("cartoon",),
)


@pytest.mark.parametrize("name", ["labels.txt", "labels", "labels.lst"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_plain_file_has_a_label_per_line(
    tmp_path: Path, name: str, ends: str, encoding: str
) -> None:
    path = tmp_path / name
    path.write_bytes(PLAIN.replace("\n", ends).encode(encoding))
    assert read(path) == READ
    toml = tmp_path / "labels.TOML"
    toml.write_bytes(write(READ).replace("\n", ends).encode(encoding))
    assert read(toml) == READ


def test_big_endian_text_is_read_by_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xfe\xff" + "Kätzchen\n猫".encode("utf-16-be"))
    assert read(path).names == ("Kätzchen", "猫")


@pytest.mark.parametrize("head", ["[labels]", " [ labels ] ", "labels.dog = []", "labels = []"])
def test_a_file_with_a_labels_key_is_toml_by_any_name(tmp_path: Path, head: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(f"# mine\n{head}\ncat\n")
    with pytest.raises(UserError, match="line 3, column"):
        read(path)


def test_utf_16_without_a_byte_order_mark_says_what_to_do(tmp_path: Path) -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        (tmp_path / "labels.txt").write_bytes("cat\ndog\n".encode(encoding))
        with pytest.raises(UserError, match="every other byte is 0; save it as UTF-8"):
            read(tmp_path / "labels.txt")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "plain.txt: no labels"),
        (b"# nothing\n\n", "plain.txt: no labels"),
        (b"cat\n\na//b\n", "plain.txt, line 3: label 'a//b'"),
        (b"cat\ndog\n!bird\nCat\n", r"plain.txt, line 4: label 'Cat' is given twice \(as 'cat'\)"),
        (b"cat\n!cat\n", "plain.txt: label 'cat' asks for"),
        (b"cat\n!\n", "plain.txt, line 2: a label or one of its words is empty"),
        (b"a\0b\n", "plain.txt, line 1: .* can't be seen"),
        (b"K\xe4tzchen\n", r"plain.txt: isn't UTF-8 text \(byte 1\)"),
        (b"\xff\xfec", "plain.txt: isn't UTF-16 text"),
    ],
)
def test_a_mistake_in_a_plain_file_names_its_line(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "plain.txt"
    path.write_bytes(text)
    with pytest.raises(UserError, match=says) as told:
        read(path)
    assert "\n" not in str(told.value)


def prompts(labels: LabelSet) -> list[list[str]]:
    """The prompts of the first label's own words."""
    label = labels.labels[0]
    words = [dictionary_form(phrase(word), labels.language) for word in (label.name, *label.words)]
    return label_prompts(words, label.prompts, labels)


def test_prompts_of_a_label() -> None:
    labels = LabelSet((Label("birds/jay", ("magpie",), ("a blue bird",)),), kind="bird")
    made = prompts(labels)
    # prompts of one's own stand for the name; other words stay
    assert made[-1] == ["a blue bird"]
    assert len(made) == 2
    assert made[0][1] == "a photo of a magpie, a type of bird."
    plain = LabelSet((Label("birds/jay"),))
    assert prompts(plain) == [[t.format("jay") for t in TEMPLATES]]


def test_a_template_may_hold_other_braces() -> None:
    labels = LabelSet((Label("jay"),), templates=("{a} photo of a {}}.", "{{}}"))
    assert prompts(labels) == [["{a} photo of a jay}.", "{jay}"]]


def test_the_mean_of_unit_vectors_is_made_unit_again() -> None:
    import numpy as np

    table = {"a": [1.0, 0.0], "b": [0.0, 1.0]}
    vectors = mean_vectors(
        [["a", "b"], ["b"]], lambda texts: np.array([table[t] for t in texts], np.float32)
    )
    assert np.allclose(vectors, [[0.5**0.5, 0.5**0.5], [0.0, 1.0]])


def test_labels_in_another_language_get_templates_of_theirs() -> None:
    labels = LabelSet((Label("Hund"),), language="de")
    assert "ein Foto: Hund." in prompts(labels)[0]
    own = LabelSet((Label("Hund"),), language="de", templates=("mein {}",))
    assert prompts(own) == [["mein Hund"]]
    assert all(t.count("{}") == 1 for native in NATIVE.values() for t in native)
