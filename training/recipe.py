"""What each command does. Every step reads the cache of the one before it."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from training import card as model_card
from training import multilingual
from training.data import TextCache, Words, all_texts, assemble, class_vectors, concepts
from training.evaluate import by_language, evaluate, unseen, words_left_out
from training.export import Exported, export_config, export_textual, export_visual
from training.features import features, runner
from training.graph import nibbles
from training.index import Picture, read_index
from training.model import ImageHead, TextHead, WordHead
from training.pixels import load, square, to_array
from training.text import Bert, encode, minilm, tokenize
from training.train import Data, Settings, train
from training.words import WordNet

SETTINGS = Settings()
SEEDS = (0, 1, 2)
SHARE = 0.14  # of the concepts
TAU = 0.1
RIDGE = 1e-5
VIEWS = ("plain", "mixed")
NAME = "starter-v3"


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def read(arguments: Namespace) -> tuple[list[Picture], dict[str, Path]]:
    """The pictures of every index, and the folder below which each lies."""
    pictures, folders = [], {}
    for index in arguments.index:
        for picture in read_index(index):
            pictures.append(picture)
            folders[picture.file] = index.parent / "pictures"
    return pictures, folders


def run_features(arguments: Namespace) -> None:
    """Cache the trunk's features of all pictures and views, and the vectors of all texts."""
    pictures, folders = read(arguments)
    training = [picture for picture in pictures if picture.split == "train"][::2]  # half will do
    for view, rows in zip(VIEWS, (pictures, training), strict=True):
        features(rows, folders, arguments.cache, view, device())
    text_cache(arguments).add(all_texts(pictures, Words(WordNet(arguments.wordnet))))


def run_train(arguments: Namespace) -> None:
    """Train a head for each seed, twice: on all words, and with a quarter of the words left out."""
    words, texts = Words(WordNet(arguments.wordnet)), text_cache(arguments)
    data = assemble(read(arguments)[0], arguments.cache, VIEWS, words, texts)
    figures: dict[str, list[dict[str, float]]] = {"seeds": [], "unseen": []}
    left_out = words_left_out(data.pictures, words.names, fold=0)
    for seed in SEEDS:
        started = time.time()
        head, scale = train(data, SETTINGS, seed)
        torch.save({"head": head.state_dict(), "scale": scale}, arguments.cache / f"head-{seed}.pt")
        images, prompts = towers([head], data, words, texts)
        figures["seeds"].append(evaluate(data.pictures, images, prompts))
        print(f"seed {seed}: {time.time() - started:.0f} s", figures["seeds"][-1], flush=True)
        head, _ = train(data, SETTINGS, seed, left_out)
        images, prompts = towers([head], data, words, texts)
        figures["unseen"].append(unseen(data.pictures, left_out, images, prompts))
        print(f"seed {seed}: words left out", figures["unseen"][-1], flush=True)
    (arguments.cache / "figures.json").write_text(json.dumps(figures, indent=1))


def run_export(arguments: Namespace) -> None:
    """Write the model's folder: the heads averaged in one image tower."""
    words, texts = Words(WordNet(arguments.wordnet)), text_cache(arguments)
    classes = class_vectors(words, texts)
    stored = [torch.load(arguments.cache / f"head-{seed}.pt") for seed in SEEDS]
    heads = []
    for one in stored:  # three: more is above 60 MB
        head = WordHead(classes, SETTINGS.hidden, SETTINGS.dropout)
        head.load_state_dict(one["head"])
        head.classes = classes  # one copy in the file
        heads.append(head)
    encoder, tokenizer = minilm()
    scale = statistics.fmean(one["scale"] for one in stored) / (1 - SHARE)
    export_visual(ImageHead(heads, SHARE), arguments.out)
    export_textual(encoder, tokenizer, TextHead(concepts(words, texts, TAU), SHARE), arguments.out)
    export_config(arguments.out, NAME, 384 + 1000, scale, ("en",))


def run_multilingual(arguments: Namespace) -> None:
    """Write a second model's folder, with labels in ten languages, beside the first."""
    words, texts = Words(WordNet(arguments.wordnet)), text_cache(arguments)
    pictures, _ = read(arguments)
    pairs = multilingual.parallel_texts(pictures, words)
    texts.add([english for _, english in pairs])
    e5 = multilingual.read_e5()
    kept = multilingual.kept_pieces(e5, [text for text, _ in pairs])
    encoder = multilingual.e5_bert(e5, kept)
    tokenizer = multilingual.tokenizer([e5.pieces[row] for row in kept], e5.scores[kept])
    theirs = _text_cache(arguments, "e5", lambda: (encoder, tokenizer))
    mapping = multilingual.fit_mapping(
        theirs([text for text, _ in pairs]), texts([english for _, english in pairs]), RIDGE
    )
    head = TextHead(concepts(words, texts, TAU), SHARE, mapping)
    folder = _multilingual(arguments.out)
    shutil.copytree(arguments.out / "visual", folder / "visual", dirs_exist_ok=True)
    export_textual(encoder, tokenizer, head, folder, store=nibbles)
    settings = json.loads((arguments.out / "config.json").read_text())
    export_config(
        folder,
        f"{NAME}-multilingual",
        settings["embed_dim"],
        settings["logit_scale"],
        multilingual.LANGUAGES,
    )


def run_evaluate(arguments: Namespace) -> None:
    """Measure the written files of both models, and `--against`'s, on the development sets."""
    pictures, folders = read(arguments)
    for name, folder in _models(arguments).items():
        if not folder.is_dir():
            continue
        model = Exported(folder)
        rows = [row for row, picture in enumerate(pictures) if picture.split == "dev"]
        vectors: dict[int, torch.Tensor] = {}
        for start in range(0, len(rows), 32):
            part = rows[start : start + 32]
            files = [folders[pictures[row].file] / pictures[row].file for row in part]
            made = model.images(np.stack([to_array(square(load(file))) for file in files]))
            vectors |= dict(zip(part, torch.from_numpy(made), strict=True))

        def images(rows: Sequence[int], vectors: dict[int, torch.Tensor] = vectors) -> torch.Tensor:
            return torch.stack([vectors[row] for row in rows])

        def texts(texts: Sequence[str], model: Exported = model) -> torch.Tensor:
            return torch.from_numpy(model.texts(list(texts)))

        figures = evaluate(pictures, images, texts)
        languages = json.loads((folder / "config.json").read_text())["languages"]
        if len(languages) > 1:
            figures |= by_language(pictures, images, texts, languages)
        print(folder, figures, flush=True)
        (arguments.cache / f"evaluation-{name}.json").write_text(json.dumps(figures, indent=1))


def run_card(arguments: Namespace) -> None:
    """Write both models' cards, with the figures of `train` and `evaluate`."""
    figures = json.loads((arguments.cache / "figures.json").read_text())
    for name, folder in _models(arguments).items():
        file = arguments.cache / f"evaluation-{name}.json"
        if name != "against" and file.exists():
            before = json.loads((arguments.cache / "evaluation-against.json").read_text())
            text = model_card.card(name, figures, json.loads(file.read_text()), before)
            (folder / "README.md").write_text(text, encoding="utf-8")


def _models(arguments: Namespace) -> dict[str, Path]:
    models = {"english": arguments.out, "multilingual": _multilingual(arguments.out)}
    return models | ({} if arguments.against is None else {"against": arguments.against})


def _multilingual(out: Path) -> Path:
    return out.with_name(f"{out.name}-multilingual")


def towers(
    heads: list[WordHead], data: Data, words: Words, texts: TextCache
) -> tuple[Callable[[Sequence[int]], torch.Tensor], Callable[[Sequence[str]], torch.Tensor]]:
    """The heads as functions of rows and of texts, on the cached plain features."""
    image_head = ImageHead(heads, SHARE).eval()
    text_head = TextHead(concepts(words, texts, TAU), SHARE)
    features, probabilities = data.views[0]

    @torch.no_grad()
    def images(rows: Sequence[int]) -> torch.Tensor:
        return image_head(features[rows], probabilities[rows].log())

    @torch.no_grad()
    def prompts(said: Sequence[str]) -> torch.Tensor:
        return text_head(texts(said))

    return images, prompts


def text_cache(arguments: Namespace) -> TextCache:
    return _text_cache(arguments, "minilm", minilm)


def _text_cache(
    arguments: Namespace, name: str, load: Callable[[], tuple[Bert, Tokenizer]]
) -> TextCache:
    """`load` is asked for the encoder where a text is new."""
    arguments.cache.mkdir(parents=True, exist_ok=True)

    def encode_new(texts: Sequence[str]) -> np.ndarray:
        encoder, tokenizer = load()
        example = tuple(map(torch.from_numpy, tokenize(tokenizer, ["a dog", "a photo"])))
        inputs, path = ["input_ids", "attention_mask"], arguments.cache / f"{name}.onnx"
        run = runner(encoder, example, path, inputs, ["vector"], device(), {1: "tokens"})
        return encode(run, tokenizer, texts)

    return TextCache(arguments.cache, name, encode_new)


COMMANDS: dict[str, Callable[[Namespace], None]] = {
    "features": run_features,
    "train": run_train,
    "export": run_export,
    "multilingual": run_multilingual,
    "evaluate": run_evaluate,
    "card": run_card,
}
