"""The families of models that can be read: a folder in any of their layouts becomes one `Layout`.

A new family starts here: how its files are told from the others' (`read`), and what its
configuration says of preprocessing, texts and logits. Everything is read from the model's own
files. A value that is not known raises `UserError` with the file and the key, and is never guessed:
a wrong default would silently degrade the results.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from zeroshelf.errors import UserError
from zeroshelf.records import Preprocessing

Json = dict[str, Any]
Cleaning = Literal["none", "whitespace", "lower", "canonicalize", "siglip", "siglip2"]

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
CLIP_LOGIT_SCALE = 100.0  # the clamp of CLIP's training, which every public CLIP has reached
SIGLIP_TOKENIZERS = ("SiglipTokenizer", "SiglipTokenizerFast")
_ACTIVATIONS = {name: name for name in ("softmax", "sigmoid")}
TRANSFORMERS_GRAPHS = ("", "_fp16", "_quantized", "_int8", "_uint8", "_q4f16", "_q4", "_bnb4")


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How a text becomes token ids."""

    tokenizer: Path  # a tokenizer.json, or CLIP's bpe_simple_vocab_16e6.txt.gz
    context_length: int
    cleaning: Cleaning
    pad_token: str | None = None  # None: as the tokenizer's file says, else id 0
    padding_side: Literal["right", "left"] = "right"
    pad_to_context: bool | None = None  # None: only where the graph has no attention mask
    prefix: str = ""  # NLLB: "eng_Latn"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a folder says of its model. `None` where it says nothing."""

    visual: Path
    textual: Path
    preprocessing: Preprocessing
    text: TextSettings
    dim: int
    family: Literal["clip", "siglip", "other"]
    settings: Json  # logit_scale, logit_bias, activation, languages, licence, open_set


def read(folder: Path, coming: Collection[Path] = ()) -> Layout:
    """The model in `folder`. `coming`: its graphs, where they are still to be brought."""
    if _is_there(folder / "visual" / "model.onnx", coming):
        return _immich(folder)
    if (folder / "preprocessor_config.json").is_file():
        return _transformers(folder, coming)
    for inner in (folder, folder / "ViT-B-32-256-datacomp_s34b_b86k"):
        if _is_there(inner / "visual.onnx", coming):
            return _rclip(inner)
    raise UserError(
        f"{folder} has no model that can be read (no visual/model.onnx, preprocessor_config.json "
        "or visual.onnx); `zeroshelf models export` converts checkpoints of torch"
    )


def _is_there(file: Path, coming: Collection[Path]) -> bool:
    return file in coming or file.is_file()


def _immich(folder: Path) -> Layout:
    """Immich's hub and our own export: visual/, textual/ and open_clip's config.json."""
    config_file = folder / "config.json"
    visual_file = folder / "visual" / "preprocess_cfg.json"
    config, visual = read_json(config_file), read_json(visual_file)
    text = section(config, "text_cfg", config_file)
    clean = section(text, "tokenizer_kwargs", config_file).get("clean")
    if clean is None:  # open_clip's defaults: CLIP's own tokenizer lower-cases, others don't
        clean = "whitespace" if "hf_tokenizer_name" in text or not text else "lower"
    known = {name: name for name in get_args(Cleaning)}
    bias = config.get("logit_bias", config.get("init_logit_bias"))
    return Layout(
        visual=folder / "visual" / "model.onnx",
        textual=folder / "textual" / "model.onnx",
        preprocessing=_preprocess_cfg(visual, visual_file),
        text=TextSettings(
            tokenizer=folder / "textual" / "tokenizer.json",
            context_length=_count(
                config.get("context_length", text.get("context_length", 77)),
                config_file,
                "context_length",
            ),
            cleaning=one_of(clean, known, config_file, "text_cfg.tokenizer_kwargs.clean"),
            pad_to_context=config.get("pad_to_context"),
            prefix="eng_Latn" if "nllb" in str(text.get("hf_tokenizer_name")).lower() else "",
            **_padding(folder / "textual"),
        ),
        dim=_count(_get(config, "embed_dim", config_file), config_file, "embed_dim"),
        family="siglip" if bias is not None else "clip",
        settings=config,
    )


def _transformers(folder: Path, coming: Collection[Path]) -> Layout:
    """transformers.js (Xenova, onnx-community): config.json, preprocessor_config.json, onnx/."""
    config_file = folder / "config.json"
    visual_file = folder / "preprocessor_config.json"
    config, visual = read_json(config_file), read_json(visual_file)
    kind = one_of(
        config.get("model_type"),
        {"clip": "clip", "siglip": "siglip"},  # "siglip2" is NaFlex: pictures of any shape
        config_file,
        "model_type",
    )
    text = section(config, "text_config", config_file)
    tokenizer_config = folder / "tokenizer_config.json"
    tokenizer_class = str(read_json(tokenizer_config).get("tokenizer_class", ""))
    cleaning: Cleaning
    if kind == "clip":
        context, dim, cleaning = 77, config.get("projection_dim", 512), "none"
        dim_key = "projection_dim"
    else:  # SigLIP's tokenizer takes the punctuation away, SigLIP 2's (Gemma's) keeps it
        vision = section(config, "vision_config", config_file)
        context, dim, dim_key = 64, vision.get("hidden_size", 768), "vision_config.hidden_size"
        cleaning = "siglip" if tokenizer_class in SIGLIP_TOKENIZERS else "siglip2"
    return Layout(
        visual=_graph(folder, "vision_model", coming),
        textual=_graph(folder, "text_model", coming),
        preprocessing=_preprocessor_config(visual, visual_file),
        text=TextSettings(
            tokenizer=folder / "tokenizer.json",
            context_length=_count(
                text.get("max_position_embeddings", context),
                config_file,
                "text_config.max_position_embeddings",
            ),
            cleaning=cleaning,
            pad_to_context=kind != "clip",  # SigLIP reads its answer off the last position
            **_padding(folder),
        ),
        dim=_count(dim, config_file, dim_key),
        family=kind,
        settings=config,
    )


def _rclip(folder: Path) -> Layout:
    """rclip's: two graphs and CLIP's vocabulary. The rest is in rclip's code, for its one model."""
    places = (folder, folder / "tokenizer", folder.parent / "tokenizer")
    names = ("tokenizer.json", "bpe_simple_vocab_16e6.txt.gz")
    files = [place / name for place in places for name in names if (place / name).is_file()]
    if not files:
        raise UserError(f"{folder} has no tokenizer/bpe_simple_vocab_16e6.txt.gz")
    return Layout(
        visual=folder / "visual.onnx",
        textual=folder / "textual.onnx",
        preprocessing=Preprocessing(256, "shortest", "bicubic", OPENAI_MEAN, OPENAI_STD),
        text=TextSettings(tokenizer=files[0], context_length=77, cleaning="lower"),
        dim=512,
        family="clip",
        settings={"licence": "MIT", "languages": ["en"]},
    )


def _graph(folder: Path, name: str, coming: Collection[Path]) -> Path:
    names = [f"{name}{suffix}.onnx" for suffix in TRANSFORMERS_GRAPHS]
    for file in [place / n for n in names for place in (folder / "onnx", folder)]:
        if _is_there(file, coming):
            return file
    raise UserError(f"{folder} has no onnx/{name}.onnx, nor one of its smaller variants")


def _preprocess_cfg(config: Json, file: Path) -> Preprocessing:
    """open_clip's PreprocessCfg."""
    one_of(config.get("mode", "RGB"), {"RGB": "RGB"}, file, "mode")
    modes = {"shortest": "shortest", "squash": "squash"}
    filters = {"bicubic": "bicubic", "bilinear": "bilinear", "random": "bicubic"}
    return Preprocessing(
        size=_side(_get(config, "size", file), file, "size"),
        resize_mode=one_of(config.get("resize_mode", "shortest"), modes, file, "resize_mode"),
        interpolation=one_of(
            config.get("interpolation", "bicubic"), filters, file, "interpolation"
        ),
        mean=_triple(config.get("mean", list(OPENAI_MEAN)), file, "mean"),
        std=_deviations(config.get("std", list(OPENAI_STD)), file, "std"),
        crop=one_of(
            config.get("crop", "round"), {"round": "round", "floor": "floor"}, file, "crop"
        ),
    )


def _preprocessor_config(config: Json, file: Path) -> Preprocessing:
    """transformers' image processor."""
    size = _get(config, "size", file)
    cropped = config.get("do_center_crop", False)
    shortest = size.get("shortest_edge") if isinstance(size, dict) else size
    if cropped:
        side = _side(config.get("crop_size", size), file, "crop_size")
        if shortest != side:
            raise UserError(f"{file}: size is {size!r}, but crop_size is {config['crop_size']!r}")
    elif shortest is not None and not isinstance(size, int):
        raise UserError(
            f"{file}: size is {size!r} without do_center_crop: the result would not be square"
        )
    else:
        side = _side(size, file, "size")
    one_of(config.get("do_resize", True), {True: True}, file, "do_resize")
    one_of(config.get("do_normalize", True), {True: True}, file, "do_normalize")
    factor = config.get("rescale_factor", 1 / 255)
    scales = config.get("do_rescale", True)
    if not scales or abs(number(factor, file, "rescale_factor") * 255 - 1) > 1e-4:
        raise UserError(f"{file}: rescale_factor is {factor!r}, not 1/255")
    filters = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # PIL.Image.Resampling
    return Preprocessing(
        size=side,
        resize_mode="shortest" if cropped else "squash",
        interpolation=one_of(config.get("resample", 3), filters, file, "resample"),
        mean=_triple(_get(config, "image_mean", file), file, "image_mean"),
        std=_deviations(_get(config, "image_std", file), file, "image_std"),
        crop="floor",
    )


def _padding(folder: Path) -> Json:
    """The padding token and side of tokenizer_config.json, where there is one."""
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        return {}
    config = read_json(file)
    token = config.get("pad_token")
    token = token.get("content", token) if isinstance(token, dict) else token
    if not isinstance(token, str | None):
        raise UserError(f"{file}: pad_token is {token!r}, not a text")
    side = config.get("padding_side", "right")
    return {
        "pad_token": token,
        "padding_side": one_of(side, {"right": "right", "left": "left"}, file, "padding_side"),
    }


def check_logits(settings: Json, file: Path) -> None:
    """Refuse settings by which logits are not a scale times a cosine plus a bias.

    Neither the bias nor the activation is needed beyond that: every score of the decision is a
    difference of logits, so that a bias, the same for all texts, cancels; and the decision has a
    sigmoid and a softmax of its own, with calibrated temperatures.
    """
    one_of(settings.get("activation", "softmax"), _ACTIVATIONS, file, "activation")
    if settings.get("logit_bias") is not None:
        number(settings["logit_bias"], file, "logit_bias")


def languages(settings: Json, file: Path) -> tuple[str, ...]:
    given = settings.get("languages", [])
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise UserError(f"{file}: languages is {given!r}, not a list of texts")
    return tuple(given)


def number(value: Any, file: Path, key: str) -> float:
    """A finite number: JSON has others, true among them."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise UserError(f"{file}: {key} is {value!r}, not a number")
    return float(value)


def _count(value: Any, file: Path, key: str) -> int:
    if type(value) is not int or value < 1:
        raise UserError(f"{file}: {key} is {value!r}, not a whole number above 0")
    return value


def _side(value: Any, file: Path, key: str) -> int:
    """One side of a square given as 224, [224, 224] or {"height": 224, "width": 224}."""
    if isinstance(value, dict):
        value = [value.get("height", value.get("shortest_edge")), value.get("width")]
        value = value[0] if value[1] is None else value
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2 or sides[0] != sides[1]:
        raise UserError(f"{file}: {key} is {value!r}, not a square")
    return _count(sides[0], file, key)


def _triple(value: Any, file: Path, key: str) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3:
        raise UserError(f"{file}: {key} is {value!r}, not three numbers")
    red, green, blue = (number(part, file, key) for part in value)
    return red, green, blue


def _deviations(value: Any, file: Path, key: str) -> tuple[float, float, float]:
    three = _triple(value, file, key)
    if min(three) <= 0:
        raise UserError(f"{file}: {key} is {value!r}, not three numbers above 0")
    return three


def section(config: Json, key: str, file: Path) -> Json:
    """A table in a table; empty where there is none."""
    value = config.get(key, {})
    if not isinstance(value, dict):
        raise UserError(f"{file}: {key} is {value!r}, not an object")
    return value


def _get(config: Json, key: str, file: Path) -> Any:
    if key not in config:
        raise UserError(f"{file}: {key} is missing")
    return config[key]


def one_of(value: Any, known: dict[Any, Any], file: Path, key: str) -> Any:
    for name, meaning in known.items():  # no look-up: a list has no hash
        if value == name:
            return meaning
    raise UserError(f"{file}: {key} is {value!r}; known are {', '.join(map(repr, known))}")


def read_json(file: Path) -> Json:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{file} is missing, so the model can't be used") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{file} can't be read: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{file} is not a JSON object")
    return value
