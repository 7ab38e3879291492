"""What each command does. Every step reads the cache of the one before it."""

from __future__ import annotations

import json
import shutil
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from training import card as model_card
from training import multilingual
from training.backbone import Trunk
from training.batches import Settings, emphasis
from training.data import TextCache, Words, all_texts, assemble, class_vectors, concepts
from training.evaluate import by_exposure, by_language, evaluate
from training.export import Exported, export_config, export_textual, export_visual
from training.features import features, runner
from training.finetune import FineTuning, averaged, finetune
from training.graph import nibbles
from training.index import Picture, read_index
from training.model import ImageHead, TextHead
from training.pixel_store import read_pixels
from training.pixels import load, square, to_array
from training.previous import answers, previous_heads
from training.text import Bert, encode, minilm, tokenize
from training.words import WordNet

RUNS = {  # what differs between the three; their trunks are averaged
    "a": (Settings(labels=48, captions=192), FineTuning(7, 2e-4, 171, teacher=True)),
    "b": (
        Settings(labels=48, captions=192, alike=1.0, emphasis=emphasis(0.6)),
        FineTuning(4, 5e-4, 357, teacher=True),
    ),
    "c": (
        Settings(labels=48, captions=192, alike=1.0, emphasis=emphasis(0.6)),
        FineTuning(7, 4e-4, 433, teacher=False),
    ),
}
HEADS = "c"  # the run whose heads are exported
VERSION_ZERO = 1.4  # how much version 0's network counts, against 1 for each of those heads
SHARE = 0.14  # of the concepts
TAU = 0.1
RIDGE = 1e-5
PLAIN = "plain"  # the view whose features are cached
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
    """Cache the frozen trunk's features of all pictures, and the vectors of all texts."""
    pictures, folders = read(arguments)
    features(pictures, folders, arguments.cache, PLAIN, device())
    text_cache(arguments).add(all_texts(pictures, Words(WordNet(arguments.wordnet))))


def run_finetune(arguments: Namespace) -> None:
    """Fine-tune the trunk three times, with two heads each (a GPU: two minutes a run)."""
    words, texts = Words(WordNet(arguments.wordnet)), text_cache(arguments)
    pictures, folders = read(arguments)
    data = assemble(pictures, arguments.cache, (PLAIN,), words, texts)
    said = answers(previous_heads(arguments.previous), *data.views[0])
    pixels = read_pixels([folders[one.file] / one.file for one in pictures], device())
    for name, (settings, tuning) in RUNS.items():
        started = time.time()
        tuned = finetune(data, pixels, Trunk(), settings, tuning, said if tuning.teacher else None)
        torch.save(tuned, _stored(arguments, name))
        print(f"run {name}: {time.time() - started:.0f} s", flush=True)


def run_export(arguments: Namespace) -> None:
    """Write the model's folder: the mean of the fine-tuned trunks, the heads of one run, and
    version 0's."""
    words, texts = Words(WordNet(arguments.wordnet)), text_cache(arguments)
    tuned = {name: torch.load(_stored(arguments, name), weights_only=False) for name in RUNS}
    trunk = averaged(Trunk(), tuned.values())
    classes = class_vectors(words, texts)
    heads = tuned[HEADS].heads
    for head in heads:
        head.classes = classes  # one copy in the file
    weights = (*(1.0 for _ in heads), VERSION_ZERO)
    heads.append(previous_heads(arguments.previous)[-1])
    export_visual(trunk, ImageHead(heads, SHARE, weights), arguments.out)
    encoder, tokenizer = minilm()
    export_textual(encoder, tokenizer, TextHead(concepts(words, texts, TAU), SHARE), arguments.out)
    scale = tuned[HEADS].scale / (1 - SHARE)
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
    words = Words(WordNet(arguments.wordnet))
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
        labels = {label for one in pictures if one.split == "train" for label in one.labels}
        figures |= by_exposure(pictures, images, texts, labels | set(words.names))
        print(folder, figures, flush=True)
        (arguments.cache / f"evaluation-{name}.json").write_text(json.dumps(figures, indent=1))


def run_card(arguments: Namespace) -> None:
    """Write both models' cards, with the figures of `evaluate`."""
    for name, folder in _models(arguments).items():
        file = arguments.cache / f"evaluation-{name}.json"
        if name != "against" and file.exists():
            before = json.loads((arguments.cache / "evaluation-against.json").read_text())
            text = model_card.card(name, json.loads(file.read_text()), before)
            (folder / "README.md").write_text(text, encoding="utf-8")


def _stored(arguments: Namespace, run: str) -> Path:
    return arguments.cache / f"finetuned-{run}.pt"


def _models(arguments: Namespace) -> dict[str, Path]:
    models = {"english": arguments.out, "multilingual": _multilingual(arguments.out)}
    return models | ({} if arguments.against is None else {"against": arguments.against})


def _multilingual(out: Path) -> Path:
    return out.with_name(f"{out.name}-multilingual")


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
    "finetune": run_finetune,
    "export": run_export,
    "multilingual": run_multilingual,
    "evaluate": run_evaluate,
    "card": run_card,
}
