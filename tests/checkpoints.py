"""Checkpoints with the true architectures and random weights, in the true layouts and formats.

`small=True` makes the widths tiny and keeps the rest. Tokenizers: CLIP's BPE is the true one, which
open_clip ships; the others are trained on the spot, of the same kind (Gemma's byte-fallback
BPE, XLM-R's Unigram, DistilBERT's WordPiece). Only tests that need torch import this.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import open_clip
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from zeroshelf.models import clip_bpe

CORPUS = [
    "a photo of a cat, a dog, a frog and the quick brown fox that jumps over lazy dogs",
    "ein Foto von einer Katze, une photo d'un chat, una foto de un gato, на фото кошка",
    "一只猫的照片 café crème naïve über Ångström 3.14 1,000 don't stop",
] * 3
BPE = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"


def open_clip_architecture(name: str, folder: Path) -> Path:
    """A built-in architecture at its full size: its weights as one file."""
    torch.manual_seed(5)
    model = open_clip.create_model(name, pretrained_image=False, pretrained_text=False)
    return _save(model, folder / f"{name}.safetensors")


def open_clip_folder(name: str, folder: Path, small: bool = True, dim: int = 32) -> Path:
    """As on the hub: open_clip_config.json, open_clip_model.safetensors and a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    config = copy.deepcopy(open_clip.get_model_config(name))
    vision, text = config["vision_cfg"], config["text_cfg"]
    if small:
        config["embed_dim"] = dim
        _shrink_open_clip(vision, text)
    preprocess: dict[str, Any] = {}
    if "SigLIP2" in name:
        gemma(folder)
        text["hf_tokenizer_name"] = str(folder)
        half = [0.5, 0.5, 0.5]
        preprocess = {"mean": half, "std": half, "resize_mode": "squash"}
    elif "hf_model_name" in text:
        xlm_roberta(folder, small)
        text["hf_model_name"] = text["hf_tokenizer_name"] = str(folder)
    both = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(both))
    torch.manual_seed(5)
    model = open_clip.create_model(
        f"local-dir:{folder}", load_weights=False, pretrained_image=False, pretrained_text=False
    )
    _save(model, folder / "open_clip_model.safetensors")
    return folder


def transformers_clip(folder: Path, size: str = "small") -> Path:
    """As openai/clip-vit-*: "small", "base" (B/32) or "large" (L/14)."""
    config = transformers.CLIPConfig()
    if size == "small":
        config = transformers.CLIPConfig(
            text_config=_narrow(transformers.CLIPTextConfig()),
            vision_config=_narrow(transformers.CLIPVisionConfig()),
            projection_dim=32,
        )
    elif size == "large":
        config = transformers.CLIPConfig(
            text_config={"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
            vision_config={
                "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
                "num_attention_heads": 16, "patch_size": 14,
            },
            projection_dim=768,
        )  # fmt: skip
    torch.manual_seed(5)
    transformers.CLIPModel(config).eval().save_pretrained(folder)
    transformers.CLIPImageProcessorPil().save_pretrained(folder)
    clip_tokenizer(folder)
    return folder


def transformers_siglip(folder: Path, small: bool = True) -> Path:
    """As google/siglip2-base-patch16-224: SigLIP's towers, Gemma's tokenizer."""
    text = {"vocab_size": 256000, "projection_size": 768}
    vision: dict[str, Any] = {}
    if small:
        text |= _narrow(transformers.SiglipTextConfig()) | {"vocab_size": 1000}
        vision = _narrow(transformers.SiglipVisionConfig())
        text["projection_size"] = 32
    config = transformers.SiglipConfig(text_config=text, vision_config=vision)
    torch.manual_seed(5)
    transformers.SiglipModel(config).eval().save_pretrained(folder)
    transformers.SiglipImageProcessorPil(resample=2).save_pretrained(folder)
    gemma(folder)
    return folder


def clip_vit(folder: Path, size: str = "small") -> Path:
    """As sentence-transformers/clip-ViT-L-14: modules.json and 0_CLIPModel/."""
    transformers_clip(folder / "0_CLIPModel", size)
    _modules(folder, [("0_CLIPModel", "CLIPModel")])
    return folder


def clip_multilingual(folder: Path, small: bool = True) -> Path:
    """As sentence-transformers/clip-ViT-B-32-multilingual-v1: DistilBERT, mean, Dense."""
    config = transformers.DistilBertConfig(vocab_size=119547)
    out = 512
    if small:
        config = transformers.DistilBertConfig(
            vocab_size=1000, dim=32, hidden_dim=64, n_layers=2, n_heads=2
        )
        out = 32
    torch.manual_seed(5)
    transformers.DistilBertModel(config).eval().save_pretrained(folder)
    wordpiece(folder)
    _modules(folder, [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")])
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 128}))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": config.dim, "pooling_mode_mean_tokens": True})
    )
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text(
        json.dumps(
            {
                "in_features": config.dim,
                "out_features": out,
                "bias": False,
                "activation_function": "torch.nn.modules.linear.Identity",
            }
        )
    )
    weight = torch.randn(out, config.dim) / config.dim**0.5
    save_file({"linear.weight": weight}, folder / "2_Dense" / "model.safetensors")
    return folder


def clip_tokenizer(folder: Path) -> None:
    """CLIP's own, as OpenAI's repositories on the hub keep it: padded with the end token."""
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=clip_bpe.read(BPE),
        bos_token=clip_bpe.START,
        eos_token=clip_bpe.END,
        pad_token=clip_bpe.END,
        model_max_length=77,
    ).save_pretrained(folder)


def gemma(folder: Path) -> None:
    """Byte-fallback BPE, blanks written as U+2581, `<eos>` at the end, padded with `<pad>` 0."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    bytes_ = [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=special + bytes_)
    tokenizer.train_from_iterator([line.lower() for line in CORPUS], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    tokenizer.decoder = decoders.Replace("\u2581", " ")
    transformers.Siglip2Tokenizer(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        padding_side="right",
        model_max_length=64,
    ).save_pretrained(folder)


def xlm_roberta(folder: Path, small: bool) -> None:
    """XLM-R's configuration and a Unigram tokenizer with its special tokens and ids."""
    config = transformers.XLMRobertaConfig(
        vocab_size=250002, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5
    )
    if small:
        config = transformers.XLMRobertaConfig(
            vocab_size=1000, max_position_embeddings=514, type_vocab_size=1, hidden_size=32,
            intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        )  # fmt: skip
    config.save_pretrained(folder)
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=special, unk_token="<unk>")
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    ).save_pretrained(folder)


def wordpiece(folder: Path) -> None:
    """Multilingual BERT's: cased WordPiece, [CLS] text [SEP]."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=800, special_tokens=special)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)


def _narrow(config: Any) -> dict[str, Any]:
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    return config.to_dict() | small | {"num_attention_heads": 2, "projection_dim": 32}


def _shrink_open_clip(vision: dict[str, Any], text: dict[str, Any]) -> None:
    if "timm_model_name" in vision:
        vision |= {"timm_model_name": "test_vit3", "image_size": 160, "timm_proj": "linear"}
    else:
        vision |= {"layers": 2, "width": 64, "head_width": 32}
    if "hf_model_name" not in text:
        text |= {"layers": 2, "width": 32, "heads": 2}
        if text.get("vocab_size", 0) > 200000:
            text["vocab_size"] = 1000


def _modules(folder: Path, parts: list[tuple[str, str]]) -> None:
    rows = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(parts)
    ]
    (folder / "modules.json").write_text(json.dumps(rows))


def _save(model: torch.nn.Module, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
    return file
