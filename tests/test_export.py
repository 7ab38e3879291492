"""Checkpoints of true architecture against the libraries that they come from.

Every family small, every layout as it is published. The full sizes are run by
`python -m benchmarks.models --prove`. Needs zeroshelf[export] and, for one reference,
sentence-transformers.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageOps

try:
    import open_clip
    import torch
    import transformers
except ImportError as missing:  # said aloud: these tests are what the export is trusted for
    warnings.warn(f"the export is NOT tested: {missing.name} is not installed", stacklevel=1)
    pytest.skip(f"needs zeroshelf[export]: {missing.name} is missing", allow_module_level=True)

from tests import checkpoints
from tests.hub import Hub
from zeroshelf.commands.cli import cli
from zeroshelf.errors import UserError
from zeroshelf.images import decode
from zeroshelf.images.preprocess import to_pixels
from zeroshelf.models import golden, select
from zeroshelf.models.export import check, export
from zeroshelf.models.export.towers import Towers
from zeroshelf.models.families import TextSettings
from zeroshelf.models.text import Tokenizer
from zeroshelf.records import Vectors

FAMILIES: dict[str, Callable[[Path], Path]] = {
    "open_clip ViT-B/32": lambda f: checkpoints.open_clip_folder("ViT-B-32", f),
    "open_clip ViT-L/14 quickgelu": lambda f: checkpoints.open_clip_folder("ViT-L-14-quickgelu", f),
    "open_clip SigLIP 2": lambda f: checkpoints.open_clip_folder("ViT-B-16-SigLIP2", f),
    "open_clip XLM-R": lambda f: checkpoints.open_clip_folder("xlm-roberta-base-ViT-B-32", f),
    "transformers CLIP": checkpoints.transformers_clip,
    "transformers SigLIP 2": checkpoints.transformers_siglip,
    "sentence-transformers CLIP": checkpoints.clip_vit,
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, and beside it the model that our export made of it."""
    folder = tmp_path_factory.mktemp("family")
    FAMILIES[request.param](folder / "checkpoint")
    export(str(folder / "checkpoint"), folder / "model")
    return folder


def reference(folder: Path) -> tuple[Callable[[Any], Vectors], Callable[[Any], Vectors], float]:
    """The library's own way from pictures and from texts to unit rows, and its logit scale."""
    if (folder / "open_clip_config.json").is_file():
        model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        model.eval()

        def see(images: list[Image.Image]) -> Vectors:
            pixels = torch.stack([transform(image) for image in images])
            return np.asarray(model.encode_image(pixels, normalize=True).detach())

        def read(texts: list[str]) -> Vectors:
            return np.asarray(model.encode_text(tokenizer(texts), normalize=True).detach())

        return see, read, float(model.logit_scale.exp())
    inner = folder / "0_CLIPModel" if (folder / "0_CLIPModel").is_dir() else folder
    loaded = transformers.AutoModel.from_pretrained(inner).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(inner, backend="pil")
    words = transformers.AutoTokenizer.from_pretrained(inner)

    def unit(rows: Any) -> Vectors:
        rows = getattr(rows, "pooler_output", rows)
        return np.asarray(torch.nn.functional.normalize(rows, dim=-1).detach())

    def embed_images(images: list[Image.Image]) -> Vectors:
        return unit(loaded.get_image_features(**processor(images, return_tensors="pt")))

    def embed_texts(texts: list[str]) -> Vectors:
        length = loaded.config.text_config.max_position_embeddings
        ids = words(
            texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        return unit(loaded.get_text_features(input_ids=ids["input_ids"]))

    return embed_images, embed_texts, float(loaded.logit_scale.exp())


def files() -> dict[str, bytes]:
    """A dozen odd picture files, one of each kind that cameras and scanners make."""
    noise = np.random.default_rng(1).uniform(0, 255, (30, 40, 3)).astype(np.uint8)
    soft = Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC)
    deep = Image.fromarray(np.asarray(soft.convert("L"), np.uint16) * 257)
    turned = Image.Exif()
    turned[0x0112] = 6
    made: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("landscape.jpg", soft, {}),
        ("portrait.jpg", soft.resize((300, 700)), {}),
        ("line.png", soft.resize((1, 200)), {}),
        ("grey.jpg", soft.convert("L"), {}),
        ("cmyk.jpg", soft.convert("CMYK"), {}),
        ("palette.gif", soft.convert("P"), {}),
        ("opaque.png", soft.convert("RGBA"), {}),
        ("deep.png", deep, {}),
        ("turned.jpg", soft, {"exif": turned}),
        ("tiny.png", soft.resize((3, 2)), {}),
        ("huge.jpg", soft.resize((4000, 3000), Image.Resampling.BICUBIC), {}),
        ("photo.webp", soft, {}),
    ]
    contents = {}
    for name, image, options in made:
        buffer = io.BytesIO()
        image.save(buffer, {"jpg": "JPEG"}.get(name[-3:], name.rsplit(".", 1)[-1]), **options)
        contents[name] = buffer.getvalue()
    return contents


def opened(name: str, content: bytes) -> Image.Image:
    """A file as a user of the reference would open it."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    if name == "deep.png":  # Pillow's convert would clip 16 bits to white
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def near(ours: Vectors, theirs: Vectors) -> None:
    comparison = golden.compare(ours, theirs)
    assert comparison.within_tolerance, str(comparison)


def test_a_family_sees_files_and_reads_texts_as_its_library_does(family: Path) -> None:
    see, read, scale = reference(family / "checkpoint")
    model = select.describe("exported", family / "model")
    encoder = select.load(model, device="cpu")
    found, how = files(), model.preprocessing

    def seen(short_side: int) -> np.ndarray:
        decoded = [decode.decode(content, short_side) for content in found.values()]
        return np.stack([to_pixels(picture, how) for picture in decoded])

    pixels = seen(10_000)  # larger than any: every picture is decoded whole
    ours = encoder.embed_pictures(pixels)
    theirs = see([opened(name, content) for name, content in found.items()])
    near(ours, theirs)
    reduced = encoder.embed_pictures(seen(3 * how.size))  # as a run does it
    assert golden.compare(reduced, theirs).cosine >= golden.LEAST_COSINE
    one = np.concatenate([encoder.embed_pictures(pixels[i : i + 1]) for i in range(len(pixels))])
    np.testing.assert_allclose(one, ours, atol=1e-4)
    texts, labels = encoder.embed_texts(golden.TEXTS), read(list(golden.TEXTS))
    near(texts, labels)
    assert abs(model.logit_scale / scale - 1) < 1e-5
    np.testing.assert_allclose(
        softmax(model.logit_scale * ours @ texts.T), softmax(scale * theirs @ labels.T), atol=5e-3
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_what_was_exported_verifies(family: Path) -> None:
    result = CliRunner().invoke(cli, ["models", "verify", str(family / "model")])
    assert result.exit_code == 0 and "cosine >= 1.0" in result.output


def test_the_multilingual_text_tower_stands_beside_its_pictures(tmp_path: Path) -> None:
    """clip-ViT-B-32-multilingual-v1, against sentence-transformers itself."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    checkpoints.clip_vit(tmp_path / "clip")
    checkpoints.clip_multilingual(tmp_path / "texts")
    with pytest.raises(UserError, match="--images"):
        export(str(tmp_path / "texts"), tmp_path / "model")
    images = str(tmp_path / "clip")
    written = export(str(tmp_path / "texts"), tmp_path / "model", images=images)
    assert written.pictures.within_tolerance and written.texts.within_tolerance
    library = sentence_transformers.SentenceTransformer(str(tmp_path / "texts"))
    theirs = library.encode(list(golden.TEXTS), normalize_embeddings=True)
    encoder = select.load(select.describe("multilingual", tmp_path / "model"), device="cpu")
    seen, texts = golden.embed(encoder)
    near(texts, theirs)
    see, _, scale = reference(tmp_path / "clip")
    near(seen, see(golden.pictures()))
    single = np.concatenate([encoder.embed_texts([text]) for text in golden.TEXTS])
    np.testing.assert_allclose(single, texts, atol=1e-4)
    assert abs(encoder.model.logit_scale / scale - 1) < 1e-5


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_smaller_precisions_say_what_they_cost(tmp_path: Path, precision: Any) -> None:
    checkpoints.transformers_clip(tmp_path / "checkpoint")
    whole = export(str(tmp_path / "checkpoint"), tmp_path / "whole")
    small = export(str(tmp_path / "checkpoint"), tmp_path / "small", precision=precision)
    assert whole.small_pictures is None
    assert small.small_pictures and small.small_texts
    assert 0.99 < small.small_pictures.cosine < 1 and 0.99 < small.small_texts.cosine < 1

    def size(folder: Path) -> int:
        return sum(file.stat().st_size for file in folder.rglob("*.onnx"))

    assert size(tmp_path / "small") < 0.7 * size(tmp_path / "whole")


def test_a_model_that_differs_is_refused_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.transformers_clip(tmp_path / "checkpoint")
    honest = check.of_torch

    def other(towers: Towers) -> tuple[Vectors, Vectors]:
        seen, read = honest(towers)
        return seen, read[::-1]

    monkeypatch.setattr(check, "of_torch", other)
    with pytest.raises(UserError, match="differs"):
        export(str(tmp_path / "checkpoint"), tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    checkpoints.open_clip_folder("ViT-B-32", tmp_path / "checkpoint")
    weights = tmp_path / "checkpoint" / "open_clip_model.safetensors"
    weights.rename(weights.with_name("open_clip_pytorch_model.bin"))
    with pytest.raises(UserError, match="pickled"):
        export(str(tmp_path / "checkpoint"), tmp_path / "model")
    with pytest.raises(UserError, match="pickle"):
        export("ViT-B-32", tmp_path / "model", checkpoint=str(weights.with_suffix(".bin")))


def test_a_hub_id_is_exported_by_the_command_under_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notebook's model by the notebook's word, from a hub."""
    checkpoints.clip_vit(tmp_path / "hub" / "sentence-transformers" / "clip-ViT-L-14")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Hub(tmp_path / "hub") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        source = "sentence-transformers/clip-ViT-L-14"
        result = CliRunner().invoke(cli, ["models", "export", source, "--to", "notebook", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["id"] == "notebook"
    assert select.find().id == "notebook"
    assert select.find("notebook").licence == "not stated"


NASTY = (
    "sch\u00c3\u00b6n caf\u00c3\u0192\u00c2\u00a9",  # UTF-8 read as Latin-1, once and twice
    "it\u00e2\u20ac\u2122s a dog\u00e2\u20ac\u00a6",
    "Tom &amp; Jerry &lt;b&gt; &amp;amp;lt; &eacute;t&eacute; &#128512; &nbsp;x",
    "\u201ccurly\u201d \u2018quotes\u2019 \u201elow\u201c l\u2019\u00e9l\u00e8ve \u00abg\u00bb",
    "\uff46\uff55\uff4c\uff4c\uff0d\uff57\uff49\uff44\uff54\uff48\u3000\uff23\uff21\uff34\uff01",
    "\uff8a\uff9d\uff76\uff78 \ufb01 \ufb02 \ufdfa \u2126 \u212a \u212b \xbd \xb2 \u2122",
    "\U0001f438 \U0001f469\u200d\U0001f467 \u2665 \U0001f1e9\U0001f1ea",
    "line\u2028sep\x85next\r\n zero\u200bwidth\ufeffbom soft\xadhyphen null\x00char",
    "\x1b[31mred\x1b[0m",
    "\u01c5 \xdf \u0130stanbul \u017f e\u0301 a\u0310",
    "\u0444\u043e\u0442\u043e \u732b\u306e\u5199\u771f",
    "don't_stop (now): 50 %, *really*?",
)


@pytest.mark.parametrize("clean", ["lower", "canonicalize"])
def test_clips_tokens_of_nasty_texts_are_open_clips(clean: Any) -> None:
    ours = Tokenizer(TextSettings(checkpoints.BPE, 77, clean), pad_to_context=True)
    theirs = open_clip.tokenizer.SimpleTokenizer(clean=clean)
    texts = [*NASTY, *golden.TEXTS]
    np.testing.assert_array_equal(ours(texts)[0], theirs(texts).numpy())


# --- layouts as others publish them ----------------------------------------------------------


class _Call(torch.nn.Module):
    def __init__(self, call: Callable[[Any], Any]) -> None:
        super().__init__()
        self.call = call

    def forward(self, values: Any) -> Any:
        return self.call(values)


def _publish(call: Any, example: Any, file: Path, name: str, output: str, free: bool) -> None:
    """As the older exporter writes it, which made what the hubs hold today."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.backends.mha.set_fastpath_enabled(False)
    axes = {name: {0: "batch"}, output: {0: "batch"}} if free else None
    with torch.no_grad():
        torch.onnx.export(
            _Call(call), (example,), str(file), input_names=[name], output_names=[output],
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    ["ViT-B-32", "ViT-L-14-quickgelu", "ViT-B-16-SigLIP2", "xlm-roberta-base-ViT-B-32"],
)
def test_immichs_layout(tmp_path: Path, name: str) -> None:
    """Batch fixed at 1, ids in int32, unit length, no logit scale."""
    source, folder = checkpoints.open_clip_folder(name, tmp_path / "checkpoint"), tmp_path / "model"
    model = open_clip.create_model(f"local-dir:{source}").eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    config = json.loads((source / "open_clip_config.json").read_text())
    cfg = open_clip.get_model_preprocess_cfg(model) | config["preprocess_cfg"]
    side = cfg["size"] if isinstance(cfg["size"], int) else cfg["size"][0]
    tokenizer = open_clip.get_tokenizer(f"local-dir:{source}")
    ids = tokenizer(["x"]).to(torch.int32)
    unit = torch.nn.functional.normalize
    _publish(
        lambda x: unit(model.encode_image(x), dim=-1), torch.zeros(1, 3, side, side),
        folder / "visual" / "model.onnx", "image", "embedding", False,
    )  # fmt: skip
    _publish(
        lambda x: unit(model.encode_text(x), dim=-1), ids,
        folder / "textual" / "model.onnx", "text", "embedding", False,
    )  # fmt: skip
    if isinstance(tokenizer, open_clip.SimpleTokenizer):
        checkpoints.clip_tokenizer(folder / "textual")
    else:
        tokenizer.tokenizer.save_pretrained(folder / "textual")
    extra = {} if "SigLIP2" not in name else {"logit_scale": 112.668907, "logit_bias": -16.771725}
    (folder / "config.json").write_text(json.dumps(config["model_cfg"] | extra))
    (folder / "visual" / "preprocess_cfg.json").write_text(json.dumps(cfg))
    _agrees(folder, source)


@pytest.mark.filterwarnings("ignore")
def test_rclips_layout(tmp_path: Path) -> None:
    """`input` to `output`, any batch, not of unit length, zero-padded ids, no settings at all."""
    source = checkpoints.open_clip_folder("ViT-B-32-256", tmp_path / "checkpoint", dim=512)
    folder = tmp_path / "ViT-B-32-256-datacomp_s34b_b86k"
    model = open_clip.create_model(f"local-dir:{source}").eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    pixels, ids = torch.zeros(1, 3, 256, 256), torch.zeros(1, 77, dtype=torch.int64)
    _publish(model.encode_image, pixels, folder / "visual.onnx", "input", "output", True)
    _publish(model.encode_text, ids, folder / "textual.onnx", "input", "output", True)
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / checkpoints.BPE.name).write_bytes(checkpoints.BPE.read_bytes())
    _agrees(folder, source)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_transformers_js_layout(tmp_path: Path, kind: str) -> None:
    make = checkpoints.transformers_clip if kind == "clip" else checkpoints.transformers_siglip
    source, folder = make(tmp_path / "checkpoint"), tmp_path / "model"
    model = transformers.AutoModel.from_pretrained(source, attn_implementation="eager").eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    clip, length = kind == "clip", model.config.text_config.max_position_embeddings
    side = model.config.vision_config.image_size
    see: Any = lambda x: model.vision_model(pixel_values=x).pooler_output  # noqa: E731
    read: Any = lambda x: model.text_model(input_ids=x).pooler_output  # noqa: E731
    if clip:
        _publish(
            lambda x: model.visual_projection(see(x)), torch.zeros(2, 3, side, side),
            folder / "onnx" / "vision_model.onnx", "pixel_values", "image_embeds", True,
        )  # fmt: skip
        _publish(
            lambda x: model.text_projection(read(x)), torch.ones(2, length, dtype=torch.int64),
            folder / "onnx" / "text_model.onnx", "input_ids", "text_embeds", True,
        )  # fmt: skip
    else:
        _publish(
            see, torch.zeros(2, 3, side, side), folder / "onnx" / "vision_model.onnx",
            "pixel_values", "pooler_output", True,
        )  # fmt: skip
        _publish(
            read, torch.ones(2, length, dtype=torch.int64), folder / "onnx" / "text_model.onnx",
            "input_ids", "pooler_output", True,
        )  # fmt: skip
    for name in ("config.json", "preprocessor_config.json", "tokenizer.json"):
        (folder / name).write_bytes((source / name).read_bytes())
    tokenizer = json.loads((source / "tokenizer_config.json").read_text())
    tokenizer["tokenizer_class"] = "CLIPTokenizer" if clip else "GemmaTokenizer"
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    config = json.loads((source / "config.json").read_text())
    extra = {} if clip else {"logit_scale": 112.668907, "logit_bias": -16.771725}
    (folder / "config.json").write_text(json.dumps(config | extra))
    _agrees(folder, source)


def _agrees(folder: Path, source: Path) -> None:
    """Pictures of odd shapes and of odd files, texts, batches and probabilities."""
    see, read, _ = reference(source)
    encoder = select.load(select.describe("published", folder), device="cpu")
    how, found = encoder.model.preprocessing, files()
    decoded = [decode.decode(content, 10_000) for content in found.values()]
    shapes = golden.pixels(how)
    pixels = np.concatenate((shapes, [to_pixels(picture, how) for picture in decoded]))
    images = [*golden.pictures(), *(opened(name, content) for name, content in found.items())]
    seen, texts = encoder.embed_pictures(pixels), encoder.embed_texts(golden.TEXTS)
    theirs, labels = see(images), read(list(golden.TEXTS))
    near(seen, theirs)
    near(texts, labels)
    one = np.concatenate([encoder.embed_pictures(pixels[i : i + 1]) for i in range(len(pixels))])
    np.testing.assert_allclose(one, seen, atol=1e-4)
    single = np.concatenate([encoder.embed_texts([text]) for text in golden.TEXTS])
    np.testing.assert_allclose(single, texts, atol=1e-4)
    scale = encoder.model.logit_scale
    np.testing.assert_allclose(
        softmax(scale * seen @ texts.T), softmax(scale * theirs @ labels.T), atol=5e-3
    )
