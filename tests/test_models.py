"""Every layout is read from its own files, and what isn't understood is refused by name."""

from __future__ import annotations

import html
import json
import string
import threading
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import ftfy
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto
from PIL import Image
from tokenizers import Tokenizer as FastTokenizer

from tests import tiny
from zeroshelf.commands import cli
from zeroshelf.errors import UserError
from zeroshelf.images.decode import Decoded
from zeroshelf.images.preprocess import to_pixels
from zeroshelf.models import encoder as towers
from zeroshelf.models import families, golden, ort, select, textual_tower
from zeroshelf.models.text import CLEANING, Tokenizer
from zeroshelf.records import Label, LabelSet, Model, Vectors

RED, GREEN = (255, 0, 0), (0, 255, 0)
RED_VECTOR = np.array([1, 0, 0, 0.5]) / np.sqrt(1.25)
GREEN_VECTOR = np.array([0, 1, 0, 0.5]) / np.sqrt(1.25)


def notes(model: Model, labels: LabelSet = LabelSet(())) -> tuple[str, ...]:  # noqa: B008
    return select.notes(model, select.calibration(model), labels)


def picture(model: Model, colour: tuple[int, int, int]) -> np.ndarray:
    image = Image.new("RGB", (21, 13), colour)
    return to_pixels(Decoded(image, 21, 13), model.preprocessing)


def speak(folder: Path) -> tuple[Vectors, Vectors]:
    """A red, a green and a red picture; "red" and "green" among other texts."""
    model = select.describe("tiny", folder)
    encoder = select.load(model, device="cpu")
    pixels = np.stack([picture(model, colour) for colour in (RED, GREEN, RED)])
    return encoder.embed_pictures(pixels), encoder.embed_texts(["RED", "green"])


def rclip(folder: Path) -> Path:
    tiny.visual(folder / "visual.onnx", name="input", output="output")
    tiny.textual(
        folder / "textual.onnx", name="input", output="output", tokens=77, kind=TensorProto.INT64
    )
    tiny.tokenizer(folder / "tokenizer" / "tokenizer.json")
    return folder


@pytest.mark.parametrize("kind", ["immich", "clip", "siglip"])
def test_a_layout_gives_the_vectors_that_its_graphs_say(tmp_path: Path, kind: str) -> None:
    folder = tiny.immich(tmp_path) if kind == "immich" else tiny.transformers_js(tmp_path, kind)
    if kind == "clip":  # its own tokenizer.json would lower-case
        (folder / "tokenizer.json").write_text(
            (folder / "tokenizer.json").read_text().replace('"red"', '"RED"')
        )
    pictures, texts = speak(folder)
    np.testing.assert_allclose(pictures, [RED_VECTOR, GREEN_VECTOR, RED_VECTOR], atol=1e-6)
    np.testing.assert_allclose(texts, [RED_VECTOR, GREEN_VECTOR], atol=1e-6)


def test_a_short_text_is_padded_where_the_graph_takes_one_length_only(tmp_path: Path) -> None:
    """transformers' CLIP needs no padding, but its graph may have been exported at one length."""
    folder = tiny.transformers_js(tmp_path)
    tiny.textual(
        folder / "onnx" / "text_model.onnx", name="input_ids", output="text_embeds",
        kind=TensorProto.INT64,
    )  # fmt: skip
    encoder = select.load(select.describe("tiny", folder), device="cpu")
    np.testing.assert_allclose(encoder.embed_texts(["red"]), [RED_VECTOR], atol=1e-6)


def test_rclips_layout_is_read_without_settings(tmp_path: Path) -> None:
    """Its one model has 512 numbers a row; the tiny one's 4 are refused, and right but for that."""
    model = select.describe("rclip", rclip(tmp_path))
    assert (model.preprocessing.size, model.context_length, model.logit_scale) == (256, 77, 100)
    with pytest.raises(UserError, match="rows have the shape"):
        select.load(model, device="cpu").embed_texts(["Red"])
    texts = select.load(replace(model, dim=tiny.DIM), device="cpu").embed_texts(["Red", "green"])
    np.testing.assert_allclose(texts, [RED_VECTOR, GREEN_VECTOR], atol=1e-6)


def test_settings_come_from_the_models_own_files(tmp_path: Path) -> None:
    immich = select.describe("a", tiny.immich(tmp_path / "a", logit_scale=50, licence="MIT"))
    assert (immich.logit_scale, immich.licence) == (50, "MIT")
    assert (immich.preprocessing.resize_mode, immich.preprocessing.crop) == ("shortest", "round")
    siglip = select.describe("b", tiny.transformers_js(tmp_path / "b", "siglip"))
    assert siglip.logit_scale == 100
    assert (siglip.preprocessing.resize_mode, siglip.preprocessing.crop) == ("squash", "floor")
    clip = select.describe("c", tiny.transformers_js(tmp_path / "c"))
    assert (clip.logit_scale, clip.preprocessing.resize_mode) == (100, "shortest")


def test_a_graph_of_bytes_is_given_bytes(tmp_path: Path) -> None:
    folder = tiny.immich(tmp_path)
    tiny.visual(folder / "visual" / "model.onnx", uint8=True)
    pictures, _ = speak(folder)
    np.testing.assert_allclose(pictures, [RED_VECTOR, GREEN_VECTOR, RED_VECTOR], atol=1e-6)


def test_threads_share_an_encoder(tmp_path: Path) -> None:
    model = select.describe("tiny", tiny.immich(tmp_path))
    encoder = select.load(model, device="cpu")
    pixels = np.stack([picture(model, RED)] * 3)
    answers: list[Vectors] = []
    threads = [
        threading.Thread(target=lambda: answers.append(encoder.embed_pictures(pixels)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    for answer in answers:
        np.testing.assert_allclose(answer, [RED_VECTOR] * 3, atol=1e-6)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("visual/preprocess_cfg.json", "resize_mode", "longest"),
        ("visual/preprocess_cfg.json", "interpolation", "area"),
        ("visual/preprocess_cfg.json", "size", [8, 9]),
        ("visual/preprocess_cfg.json", "size", 0),
        ("visual/preprocess_cfg.json", "mode", ["RGB"]),
        ("visual/preprocess_cfg.json", "mean", [0]),
        ("visual/preprocess_cfg.json", "mean", ["a", "b", "c"]),
        ("visual/preprocess_cfg.json", "std", [1, 0, 1]),
        ("config.json", "embed_dim", None),
        ("config.json", "embed_dim", "512"),
        ("config.json", "context_length", -1),
        ("config.json", "text_cfg", []),
        ("config.json", "logit_scale", float("nan")),
        ("config.json", "activation", "relu"),
        ("config.json", "logit_bias", "low"),
        ("config.json", "languages", "en"),
        ("config.json", "open_set", {"unheard": 1}),
        ("config.json", "open_set", {"delta": "low"}),
        ("textual/tokenizer_config.json", "padding_side", "middle"),
        ("textual/tokenizer_config.json", "pad_token", {"id": 0}),
    ],
)
def test_an_unknown_value_is_refused_with_file_and_key(
    tmp_path: Path, file: str, key: str, value: object
) -> None:
    folder = tiny.immich(tmp_path)
    config = json.loads((folder / file).read_text()) | {key: value}
    if value is None:
        del config[key]
    tiny.write(folder / file, config)
    with pytest.raises(UserError, match=key) as refused:
        select.describe("tiny", folder)
    assert str(folder / file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_sigmoid_model_without_its_scale_is_refused(tmp_path: Path) -> None:
    folder = tiny.transformers_js(tmp_path, "siglip")
    config = json.loads((folder / "config.json").read_text())
    del config["logit_scale"]
    tiny.write(folder / "config.json", config)
    with pytest.raises(UserError, match="logit_scale"):
        select.describe("tiny", folder)


@pytest.mark.parametrize("part", ["textual/tokenizer.json", "textual/model.onnx", "config.json"])
def test_a_missing_file_is_named(tmp_path: Path, part: str) -> None:
    folder = tiny.immich(tmp_path)
    (folder / part).unlink()
    with pytest.raises(UserError, match=part.rsplit("/", maxsplit=1)[-1]):
        select.describe("tiny", folder)


@pytest.mark.parametrize(
    ("file", "key", "told"),
    [
        ("visual/preprocess_cfg.json", "size", "pictures of 8 px.* say 9"),
        ("config.json", "context_length", "texts of 6 tokens.* say 9"),
    ],
)
def test_settings_that_do_not_fit_the_graph_are_refused(
    tmp_path: Path, file: str, key: str, told: str
) -> None:
    folder = tiny.immich(tmp_path)
    tiny.write(folder / file, json.loads((folder / file).read_text()) | {key: 9})
    with pytest.raises(UserError, match=told):
        speak(folder)


def test_an_unknown_input_is_refused(tmp_path: Path) -> None:
    folder = tiny.immich(tmp_path)
    tiny.textual(folder / "textual" / "model.onnx", name="position_ids")
    with pytest.raises(UserError, match="position_ids"):
        speak(folder)


def test_the_digest_follows_whatever_shapes_an_embedding(tmp_path: Path) -> None:
    folder = tiny.immich(tmp_path)
    before = select.describe("tiny", folder).digest
    assert select.describe("another name", folder).digest == before
    tiny.write(folder / "README.json", {})
    assert select.describe("tiny", folder).digest == before
    config = json.loads((folder / "visual" / "preprocess_cfg.json").read_text())
    tiny.write(folder / "visual" / "preprocess_cfg.json", config | {"resize_mode": "squash"})
    squashed = select.describe("tiny", folder).digest
    assert squashed != before
    tiny.visual(folder / "visual" / "model.onnx", external="weights.bin")
    kept = select.describe("tiny", folder).digest
    weights = folder / "visual" / "weights.bin"
    weights.write_bytes(weights.read_bytes()[::-1])
    assert len({before, squashed, kept, select.describe("tiny", folder).digest}) == 4


def test_which_model_is_used(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert select.find().id == "starter"
    for id in ("clip-b-32", "siglip2-b-16"):
        folder = tiny.immich(home / "models" / id, logit_scale=100)
        tiny.write(folder / "zeroshelf.json", {"id": id, "settings": {}, "sha256": {}})
    assert select.find().id == "siglip2-b-16"  # 78.2 against 63.3
    assert select.find("clip-ViT-B-32").id == "clip-b-32"
    monkeypatch.setenv("ZEROSHELF_MODEL", "clip-b-32")
    assert select.find().id == "clip-b-32"
    assert select.find("starter").id == "starter"
    there = home / "models" / "clip-b-32"
    assert select.find(str(there)).folder == there
    with pytest.raises(UserError, match="models get clip-l-14"):
        select.find("clip-l-14")


def test_a_wrong_name_in_the_environment_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZEROSHELF_MODEL", "clip-l-14")
    with pytest.raises(UserError, match=r"^ZEROSHELF_MODEL: .*models get clip-l-14` brings it"):
        select.find()
    monkeypatch.setenv("ZEROSHELF_MODEL", str(tmp_path))  # a folder without a model
    with pytest.raises(UserError, match=r"^ZEROSHELF_MODEL: .* has no model"):
        select.find()
    with pytest.raises(UserError, match=r"^there is no model 'nonsense'"):  # typed: --model
        select.find("nonsense")


def test_only_a_model_that_a_hub_has_is_said_to_come_from_one() -> None:
    with pytest.raises(UserError, match="models get clip-l-14` brings it"):
        select.find("clip-l-14")
    for name in ("./modles/clip", "nonsense", "/no/such/folder"):
        with pytest.raises(UserError, match="nor a folder of that name") as refused:
            select.find(name)
        assert "models get" not in str(refused.value)


def test_the_starter_is_verified_against_its_golden_dozen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (select.STARTER / golden.FILE).stat().st_size < 200_000
    assert cli.main(["models", "verify", "starter"]) == 0
    assert capsys.readouterr().out.count("starter on CPU: ") == 2


def test_the_starter_says_how_to_get_better_and_what_it_cannot_read() -> None:
    starter = select.find()
    (better,) = notes(starter)
    assert "zeroshelf models get" in better
    german = LabelSet((Label("Katze"),), language="de")
    of_language = notes(starter, german)[1]
    assert "(de)" in of_language and "siglip2-b-16" in of_language
    assert notes(starter, LabelSet((Label("cat"), Label("caf\xe9")))) == (better,)
    chinese = LabelSet((Label("cat"), Label("dog", words=("\u72d7",))))
    assert "(zh)" in notes(starter, chinese)[1]
    japanese = LabelSet((Label("\u732b\u3068\u72ac"),))
    assert "(ja)" in notes(starter, japanese)[1]


def test_the_starter_reads_short_texts_at_their_own_length() -> None:
    """Its tokenizer.json pads to 128 tokens, which is ten times slower and changes nothing."""
    encoder = select.load(select.find(), device="cpu")
    alone = encoder.embed_texts(["a photo of a cat"])
    among = encoder.embed_texts(["a photo of a cat", "word " * 60])[:1]
    assert float((alone @ among.T)[0, 0]) > 0.99
    assert encoder._textual is not None
    ids, _ = encoder._textual.tokenizer(["a photo of a cat"])
    assert ids.shape[1] < 10


def test_many_texts_are_embedded_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of like length together, several batches at once: each vector stays in its text's row."""
    texts = [("a photo of a cat. " * (1 + 7 * at % 5))[: 5 + 9 * at] for at in range(18)]
    alone, many = (select.load(select.find(), device="cpu", threads=3) for _ in range(2))
    one_by_one = np.concatenate([alone.embed_texts([text]) for text in texts])
    monkeypatch.setattr(towers, "MANY_TEXTS", 10)
    monkeypatch.setattr(textual_tower, "LEAST_BATCH", 4)
    np.testing.assert_allclose(many.embed_texts(texts), one_by_one, atol=1e-5)
    np.testing.assert_allclose(many.embed_texts(texts[:3]), one_by_one[:3], atol=1e-5)


def test_the_text_tower_is_opened_again_for_many_texts_and_not_for_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bool] = []
    open_graph = ort.open_graph

    def noting(*given: Any, **options: Any) -> ort.Graph:
        opened.append(options["optimise"])
        return open_graph(*given, **options)

    monkeypatch.setattr(ort, "open_graph", noting)
    encoder = select.load(select.describe("tiny", tiny.immich(tmp_path)), device="cpu")
    for count in (1, 3, 200, 300, 2):
        np.testing.assert_allclose(
            encoder.embed_texts(["red", "green"] * count),
            [RED_VECTOR, GREEN_VECTOR] * count,
            atol=1e-6,
        )
    assert opened == [False, True]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("length", [None, 128])
def test_texts_are_padded_as_the_tokenizer_pads_them(
    side: Literal["left", "right"], length: int | None
) -> None:
    settings = families.read(select.find().folder).text
    ours = Tokenizer(replace(settings, padding_side=side), length is not None)
    theirs = FastTokenizer.from_file(str(settings.tokenizer))
    theirs.enable_truncation(settings.context_length)
    theirs.enable_padding(direction=side, pad_id=0, pad_token="[PAD]", length=length)
    texts = ["a cat", "", "two words here", "long " * 300]
    rows = theirs.encode_batch(texts)
    ids, mask = ours(texts)
    assert ids.tolist() == [row.ids for row in rows]
    assert mask.tolist() == [row.attention_mask for row in rows]


@given(st.text())
@example("a &lt;cat&gt; &amp;amp; a dog")
@example("  two   blanks ")
@example("na\xc3\xafve \u201cquotes\u201d")
def test_plain_ascii_is_cleaned_as_all_text_is(text: str) -> None:
    whole = " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())
    assert CLEANING["whitespace"](text) == whole


@given(st.text(alphabet=string.printable))
def test_and_so_is_ascii_alone(text: str) -> None:
    whole = " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())
    assert CLEANING["whitespace"](text) == whole


def test_pictures_release_the_text_tower() -> None:
    encoder = select.load(select.find(), device="cpu")
    texts = encoder.embed_texts(golden.TEXTS)
    pictures, again = golden.embed(encoder)
    assert pictures.shape == (12, encoder.model.dim)
    np.testing.assert_allclose(texts, again, atol=1e-6)
    encoder.embed_pictures(np.zeros((1, 3, 260, 260), np.float32))
    assert encoder._textual is None


def test_a_batch_of_one_is_a_batch_of_many() -> None:
    encoder = select.load(select.find(), device="cpu")
    pixels = golden.pixels(encoder.model.preprocessing)
    many = encoder.embed_pictures(pixels)
    one = np.concatenate([encoder.embed_pictures(pixels[i : i + 1]) for i in range(len(pixels))])
    np.testing.assert_allclose(one, many, atol=1e-4)


def test_out_of_memory_halves_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = select.describe("tiny", tiny.transformers_js(tmp_path))
    encoder = select.load(model, device="cpu")
    run, sizes = ort.Graph.run, []

    def small_device(graph: ort.Graph, feeds: dict[str, np.ndarray], output: str) -> np.ndarray:
        (batch,) = feeds.values()
        sizes.append(len(batch))
        if len(batch) > 2:
            raise ort.OutOfMemoryError("Failed to allocate memory")
        return run(graph, feeds, output)

    monkeypatch.setattr(ort.Graph, "run", small_device)
    pixels = np.stack([picture(model, RED)] * 7)
    np.testing.assert_allclose(encoder.embed_pictures(pixels), [RED_VECTOR] * 7, atol=1e-6)
    assert sizes == [7, 4, 2, 2, 2, 1]
    encoder.embed_pictures(pixels[:4])
    assert sizes[6:] == [2, 2]  # remembered


def test_a_device_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="unknown device 'gpu'"):
        select.load(select.find(), device="gpu").embed_texts(["x"])
    missing = next(name for name in ("directml", "coreml", "cuda") if name not in ort.devices())
    with pytest.raises(UserError, match=missing):
        select.load(select.find(), device=missing).embed_texts(["x"])


def test_a_build_that_another_one_hides_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ort.hidden_package() is None
    version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "1" if name == "onnxruntime-gpu" else version(name)
    )
    monkeypatch.setattr(ort, "devices", lambda: ("cpu",))
    cure = "pip install --force-reinstall --no-deps onnxruntime-gpu"
    assert cure in str(ort.hidden_package()) and cure in notes(select.find())[-1]
    monkeypatch.setattr(ort, "devices", lambda: ("cuda", "cpu"))
    assert ort.hidden_package() is None


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_device_that_fails_is_told_and_the_next_one_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ONNX Runtime itself would fall back without a word."""
    monkeypatch.setattr(ort, "devices", lambda: ("cuda", "cpu"))
    heard: list[str] = []
    encoder = select.load(select.find(), warn=heard.append)
    assert encoder.device is None
    assert encoder.open() == encoder.device == "cpu"
    assert len(heard) == 1 and "cuda" in heard[0]


def test_texts_are_mended_as_clips_own_tokenizer_does() -> None:
    broken = "sch\u00c3\u00b6n &amp;amp; \uff23\uff21\uff34\u3000it\u2019s"
    assert CLEANING["lower"](broken) == "sch\xf6n & cat it's"
    assert CLEANING["canonicalize"]("Don\u2019t_stop: \ufb01ve!") == "dont stop five"
