"""transformers' CLIP, SigLIP and SigLIP 2, and sentence-transformers' CLIPs, become `Towers`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from zeroshelf.errors import UserError
from zeroshelf.models import families
from zeroshelf.models.export.towers import Towers, safetensors_in, settings
from zeroshelf.models.families import Json

INTERPOLATION = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}


def from_folder(folder: Path) -> Towers:
    """A folder of transformers: config.json, model.safetensors, preprocessor and tokenizer."""
    safetensors_in(folder)
    model = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
    kind = model.config.model_type
    if kind not in ("clip", "siglip"):  # "siglip2" is NaFlex: pictures of any shape
        raise UserError(f"{folder / 'config.json'}: model_type is {kind!r}; known: clip, siglip")
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    context = int(model.config.text_config.max_position_embeddings)
    clip = kind == "clip"
    dim = model.config.projection_dim if clip else model.config.vision_config.hidden_size
    fixed_length = type(tokenizer).__name__ in families.SIGLIP_TOKENIZERS

    def pixels(pictures: Sequence[Image.Image]) -> torch.Tensor:
        values: torch.Tensor = processor(list(pictures), return_tensors="pt")["pixel_values"]
        return values

    def tokens(texts: Sequence[str]) -> tuple[torch.Tensor, ...]:
        rows = tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=context,
            return_tensors="pt",
        )
        return (rows["input_ids"],)

    return Towers(
        visual=(_ClipVision if clip else _SiglipVision)(model),
        textual=(_ClipText if clip else _SiglipText)(model),
        preprocess_cfg=_preprocess_cfg(processor),
        config=settings(
            dim=int(dim),
            context_length=context,
            clean="none" if clip else ("siglip" if fixed_length else "siglip2"),
            logit_scale=model.logit_scale,
            logit_bias=getattr(model, "logit_bias", None),
            pad_to_context=not clip,
            source=folder.name,
        ),
        save_tokenizer=lambda target: _save_tokenizer(tokenizer, target),
        pixels=pixels,
        tokens=tokens,
    )


def from_sentence_transformers(folder: Path, images: Path | None) -> Towers:
    """clip-ViT-L-14 and its like; or a text tower alone, beside the CLIP in `images`.

    clip-ViT-B-32-multilingual-v1 is such a text tower: DistilBERT, the mean over its tokens, and a
    matrix to the space of clip-ViT-B-32.
    """
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    types = [module["type"].rsplit(".", 1)[-1] for module in modules]
    if types[0] == "CLIPModel":
        return from_folder(folder / modules[0]["path"])
    if types != ["Transformer", "Pooling", "Dense"]:
        raise UserError(
            f"{folder / 'modules.json'}: {' + '.join(types)} is not a CLIP's text tower"
        )
    if images is None:
        raise UserError(
            f"{folder.name} reads texts only: name the model that its pictures go through, "
            "--images sentence-transformers/clip-ViT-B-32"
        )
    inner = images / "0_CLIPModel"
    vision = from_folder(inner if inner.is_dir() else images)
    paths = [folder / module["path"] for module in modules]
    encoder = AutoModel.from_pretrained(paths[0], use_safetensors=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(paths[0])
    textual = _MeanDense(encoder, _dense(paths[2]), paths[1] / "config.json")
    limits = folder / "sentence_bert_config.json"
    length = int(families.read_json(limits)["max_seq_length"]) if limits.is_file() else 128

    def tokens(texts: Sequence[str]) -> tuple[torch.Tensor, ...]:
        rows = tokenizer(
            list(texts), padding=True, truncation=True, max_length=length, return_tensors="pt"
        )
        return rows["input_ids"], rows["attention_mask"]

    config: Json = vision.config | {
        "context_length": length,
        "text_cfg": {"context_length": length, "tokenizer_kwargs": {"clean": "none"}},
        "pad_to_context": False,
        "source": folder.name,
    }
    return Towers(
        visual=vision.visual,
        textual=textual,
        preprocess_cfg=vision.preprocess_cfg,
        config=config,
        save_tokenizer=lambda target: _save_tokenizer(tokenizer, target),
        pixels=vision.pixels,
        tokens=tokens,
        token_inputs=("input_ids", "attention_mask"),
    )


class _Tower(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model


class _ClipVision(_Tower):
    def forward(self, pixels: torch.Tensor) -> Any:
        state = self.model.vision_model(pixel_values=pixels).pooler_output
        return self.model.visual_projection(state)


class _ClipText(_Tower):
    def forward(self, ids: torch.Tensor) -> Any:
        return self.model.text_projection(self.model.text_model(input_ids=ids).pooler_output)


class _SiglipVision(_Tower):
    def forward(self, pixels: torch.Tensor) -> Any:
        return self.model.vision_model(pixel_values=pixels).pooler_output


class _SiglipText(_Tower):
    def forward(self, ids: torch.Tensor) -> Any:
        return self.model.text_model(input_ids=ids).pooler_output


class _MeanDense(nn.Module):
    def __init__(self, encoder: nn.Module, dense: nn.Linear, pooling: Path) -> None:
        super().__init__()
        config = families.read_json(pooling)
        if config.get("pooling_mode", "mean") != "mean" or not config.get(
            "pooling_mode_mean_tokens", True
        ):
            raise UserError(f"{pooling}: not the mean over the tokens")
        self.encoder = encoder
        self.dense = dense

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> Any:
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        return self.dense(mean)


def _dense(folder: Path) -> nn.Linear:
    config = families.read_json(folder / "config.json")
    if not str(config.get("activation_function", "Identity")).endswith("Identity"):
        raise UserError(f"{folder / 'config.json'}: activation_function is not Identity")
    dense = nn.Linear(config["in_features"], config["out_features"], bias=config["bias"])
    weights = load_file(safetensors_in(folder))
    dense.load_state_dict({key.removeprefix("linear."): value for key, value in weights.items()})
    return dense


def _save_tokenizer(tokenizer: Any, folder: Path) -> None:
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    config = {"pad_token": tokenizer.pad_token, "padding_side": tokenizer.padding_side}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def _preprocess_cfg(processor: Any) -> Json:
    cropped = bool(processor.do_center_crop)
    size = processor.crop_size if cropped else processor.size
    return {
        "size": [size["height"], size["width"]],
        "mode": "RGB",
        "mean": list(processor.image_mean),
        "std": list(processor.image_std),
        "interpolation": INTERPOLATION[int(processor.resample)],
        "resize_mode": "shortest" if cropped else "squash",
        "crop": "floor",
    }
