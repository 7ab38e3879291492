"""open_clip's checkpoints, OpenAI's CLIP among them, become `Towers`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import nn

from zeroshelf.errors import UserError
from zeroshelf.models import clip_bpe
from zeroshelf.models.export.towers import Towers, safetensors_in, settings
from zeroshelf.models.families import Json


def from_folder(folder: Path, checkpoint: Path | None = None) -> Towers:
    """A folder as on the hub: open_clip_config.json and open_clip_model.safetensors."""
    file = checkpoint or safetensors_in(folder)
    return _towers(f"local-dir:{folder}", file, folder.name)


def from_architecture(name: str, checkpoint: Path, quick_gelu: bool = False) -> Towers:
    """An architecture that open_clip knows by name, and a file of weights.

    OpenAI's own weights need `quick_gelu`: without it every embedding is a little wrong.
    """
    return _towers(name, checkpoint, f"{name} ({checkpoint.name})", quick_gelu)


def architectures() -> list[str]:
    return list(open_clip.list_models())


def hub_source(name: str, tag: str) -> tuple[str, bool]:
    """A pretrained tag of open_clip ("openai", "laion2b_s34b_b79k"): its hub id, and quick_gelu."""
    row = open_clip.get_pretrained_cfg(name, tag)
    repo = (row or {}).get("hf_hub", "").rstrip("/")
    if not repo:
        raise UserError(f"open_clip has no weights {tag!r} for {name} on the hub")
    return repo, bool(row.get("quick_gelu", False))


def _towers(name: str, checkpoint: Path, source: str, quick_gelu: bool = False) -> Towers:
    if checkpoint.suffix != ".safetensors":
        raise UserError(f"{checkpoint} is not a .safetensors file; pickles are never opened")
    model = open_clip.create_model(
        name,
        load_weights=False,
        pretrained_image=False,
        pretrained_text=False,
        force_quick_gelu=quick_gelu,
    )
    open_clip.load_checkpoint(model, str(checkpoint), strict=True)
    model.eval()
    preprocess = _preprocess_cfg(name, model)
    transform = image_transform_v2(PreprocessCfg(**preprocess), is_train=False)
    tokenizer = open_clip.get_tokenizer(name)

    def pixels(pictures: Sequence[Image.Image]) -> torch.Tensor:
        return torch.stack([transform(picture) for picture in pictures])

    def tokens(texts: Sequence[str]) -> tuple[torch.Tensor, ...]:
        return (tokenizer(list(texts)),)

    def save_tokenizer(folder: Path) -> None:
        if isinstance(tokenizer, open_clip.SimpleTokenizer):
            bpe = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
            clip_bpe.read(bpe).save(str(folder / "tokenizer.json"))
        else:
            tokenizer.tokenizer.save_pretrained(folder)

    simple = isinstance(tokenizer, open_clip.SimpleTokenizer)
    text_cfg = _model_cfg(name).get("text_cfg", {})
    clean = text_cfg.get("tokenizer_kwargs", {}).get("clean", "lower" if simple else "whitespace")
    return Towers(
        visual=_Call(model, "encode_image"),
        textual=_Call(model, "encode_text"),
        preprocess_cfg=preprocess,
        config=settings(
            dim=int(_model_cfg(name)["embed_dim"]),
            context_length=int(tokenizer.context_length),
            clean=clean,
            logit_scale=model.logit_scale,
            logit_bias=getattr(model, "logit_bias", None),
            pad_to_context=True,
            source=source,
        ),
        save_tokenizer=save_tokenizer,
        pixels=pixels,
        tokens=tokens,
    )


class _Call(nn.Module):
    """One method of a model as a module of its own."""

    def __init__(self, model: nn.Module, method: str) -> None:
        super().__init__()
        self.model = model
        self.method = method

    def forward(self, values: torch.Tensor) -> Any:
        return getattr(self.model, self.method)(values)


def _model_cfg(name: str) -> Json:
    if name.startswith("local-dir:"):
        file = Path(name.removeprefix("local-dir:")) / "open_clip_config.json"
        config: Json = json.loads(file.read_text(encoding="utf-8"))["model_cfg"]
        return config
    return dict(open_clip.get_model_config(name))


def _preprocess_cfg(name: str, model: nn.Module) -> Json:
    kept = ("size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color")
    config = open_clip.get_model_preprocess_cfg(model)
    if name.startswith("local-dir:"):
        file = Path(name.removeprefix("local-dir:")) / "open_clip_config.json"
        config |= json.loads(file.read_text(encoding="utf-8")).get("preprocess_cfg", {})
    return {key: list(v) if isinstance(v, tuple) else v for key, v in config.items() if key in kept}
