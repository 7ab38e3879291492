"""A model's folder, in whichever public layout it comes, becomes one `Layout`.

Everything is read from the model's own files. A value that is not known raises `UserError` with the
file and the key: a guess would give answers that are wrong and look right.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zeroshelf.errors import UserError
from zeroshelf.records import OpenSet, Preprocessing

Cleaning = Literal["none", "whitespace", "canonicalize", "lower"]
Interpolation = Literal["bicubic", "bilinear", "nearest", "lanczos"]


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How a text becomes token ids. `tokenizer` is a tokenizer.json."""

    tokenizer: Path
    context_length: int
    cleaning: Cleaning
    pad_token: str | None  # None: as tokenizer.json says
    pad_to_context: bool | None = None  # None: only where the graph has no attention mask
    prefix: str = ""  # NLLB: "eng_Latn"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a folder says of its model. `None` where it says nothing."""

    visual: Path
    textual: Path
    preprocessing: Preprocessing
    text: TextSettings
    dim: int | None
    logit_scale: float | None
    logit_bias: float | None
    activation: Literal["softmax", "sigmoid"] | None
    languages: tuple[str, ...]
    licence: str
    open_set: OpenSet | None
    settings: tuple[Path, ...]  # the files that were read: they shape an embedding too


def read(folder: Path) -> Layout:
    if (folder / "visual" / "model.onnx").is_file():
        return _immich(folder)
    raise UserError(
        f"{folder} holds no model that can be read: no visual/model.onnx; a checkpoint of "
        "open_clip or transformers is converted by `zeroshelf models export`"
    )


def _immich(folder: Path) -> Layout:
    """Immich's hub and our own export: visual/, textual/ and open_clip's config.json."""
    config_file = folder / "config.json"
    visual_file = folder / "visual" / "preprocess_cfg.json"
    tokenizer_config = folder / "textual" / "tokenizer_config.json"
    config, visual = read_json(config_file), read_json(visual_file)
    text_config = config.get("text_cfg", {})
    clean = text_config.get("tokenizer_kwargs", {}).get("clean")
    return Layout(
        visual=folder / "visual" / "model.onnx",
        textual=folder / "textual" / "model.onnx",
        preprocessing=_preprocess_cfg(visual, visual_file),
        text=TextSettings(
            tokenizer=folder / "textual" / "tokenizer.json",
            context_length=int(config.get("context_length", text_config.get("context_length", 77))),
            cleaning=_one_of(
                "whitespace" if clean is None else clean,
                {"whitespace": "whitespace", "canonicalize": "canonicalize", "lower": "lower"},
                config_file,
                "text_cfg.tokenizer_kwargs.clean",
            ),
            pad_token=_pad_token(tokenizer_config),
        ),
        dim=config.get("embed_dim"),
        logit_scale=config.get("logit_scale"),
        logit_bias=config.get("logit_bias"),
        activation=config.get("activation"),
        languages=tuple(config.get("languages", ())),
        licence=str(config.get("licence", "not stated")),
        open_set=_open_set(config, config_file),
        settings=(config_file, visual_file),
    )


def _preprocess_cfg(config: dict[str, Any], file: Path) -> Preprocessing:
    """open_clip's PreprocessCfg."""
    size = config["size"]
    sides = [size, size] if isinstance(size, int) else list(size)
    if sides[0] != sides[1]:
        raise UserError(f"{file}: size {size} is not square")
    _one_of(config.get("mode", "RGB"), {"RGB": "RGB"}, file, "mode")
    return Preprocessing(
        size=sides[0],
        resize_mode=_one_of(
            config.get("resize_mode", "shortest"),
            {"shortest": "shortest", "squash": "squash"},
            file,
            "resize_mode",
        ),
        interpolation=_one_of(
            config.get("interpolation", "bicubic"),
            {"bicubic": "bicubic", "bilinear": "bilinear", "random": "bicubic"},
            file,
            "interpolation",
        ),
        mean=_triple(config["mean"], file, "mean"),
        std=_triple(config["std"], file, "std"),
    )


def _pad_token(file: Path) -> str | None:
    if not file.is_file():
        return None
    token = read_json(file).get("pad_token")
    return token["content"] if isinstance(token, dict) else token


def _open_set(config: dict[str, Any], file: Path) -> OpenSet | None:
    if "open_set" not in config:
        return None
    try:
        return OpenSet(**config["open_set"])
    except TypeError as error:
        raise UserError(f"{file}: open_set is not understood: {error}") from error


def _triple(value: Any, file: Path, key: str) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3:
        raise UserError(f"{file}: {key} is {value!r}, not three numbers")
    return float(value[0]), float(value[1]), float(value[2])


def _one_of(value: Any, known: dict[Any, Any], file: Path, key: str) -> Any:
    if value not in known:
        raise UserError(f"{file}: {key} is {value!r}; known are {', '.join(map(repr, known))}")
    return known[value]


def read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{file} is missing, so the model can't be used") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{file} can't be read: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{file} is no JSON object")
    return value
