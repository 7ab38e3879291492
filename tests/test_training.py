"""The recipe against the package: the same pixels, the same tokens, the same embeddings."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import zeroshelf
from zeroshelf.images import decode, preprocess
from zeroshelf.records import Preprocessing
from zeroshelf.system import telemetry

if TYPE_CHECKING:
    import torch
else:
    torch = pytest.importorskip("torch", reason="torch isn't installed: the recipe is not tested")
pytest.importorskip("onnx", reason="onnx isn't installed: the recipe is not tested")

ort = telemetry.onnxruntime()

sys.path.insert(0, str(Path(__file__).parents[1]))  # the recipe is no part of the package

from training import alike, evaluate, graph, model, pixels, train, words  # noqa: E402
from training.index import Picture  # noqa: E402

STARTER = Path(zeroshelf.__file__).parent / "data/starter/visual/model.onnx"
WORDNET = Path("/usr/share/wordnet")
ODD = [(1, 1), (2, 900), (37, 61), (261, 259), (260, 260), (640, 427), (427, 640), (1013, 311)]


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Patches of chance colours, about 20 a side."""
    width, height = size
    values = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), np.uint8)
    return Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", ODD)
def test_the_package_makes_the_same_pixels(size: tuple[int, int], tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    noise(size).save(file)
    settings = Preprocessing(
        size=pixels.SIZE,
        resize_mode="shortest",
        interpolation="bicubic",
        mean=(pixels.MEAN,) * 3,
        std=(pixels.STD,) * 3,
    )
    theirs = preprocess.to_pixels(decode.decode(file.read_bytes(), pixels.SIZE), settings)
    ours = pixels.to_array(pixels.square(pixels.load(file)))
    assert np.abs(ours - theirs).max() < 1e-3
    session = ort.InferenceSession(STARTER, providers=["CPUExecutionProvider"])
    made = [session.run(["embedding"], {"image": one[None]})[0] for one in (ours, theirs)]
    assert np.abs(made[0] - made[1]).max() < 1e-3


@pytest.mark.parametrize("view", pixels.VIEWS)
@pytest.mark.parametrize("size", ODD)
def test_every_view_is_a_square_and_repeats_itself(view: str, size: tuple[int, int]) -> None:
    made = [pixels.view_of(noise(size), view, random.Random(1)) for _ in range(2)]
    assert made[0].size == (pixels.SIZE, pixels.SIZE)
    assert made[0].mode == "RGB"
    assert made[0].tobytes() == made[1].tobytes()


class Linear(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(500, 64)
        self.layer = torch.nn.Linear(64, 96)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.layer(self.words(ids).mean(1))


@pytest.mark.parametrize(
    ("store", "error"), [(graph.half, 1e-3), (graph.small_tables, 1e-2), (graph.nibbles, 1e-3)]
)
def test_a_stored_graph_computes_the_same_in_any_batch(store, error: float, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, ids = Linear().eval(), torch.arange(24).view(6, 4)
    path = tmp_path / "model.onnx"
    graph.write_graph(module, (ids,), path, ["ids"], ["out"], {1: "tokens"}, store)
    run = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run
    together = run(None, {"ids": ids.numpy()})[0]
    alone = np.concatenate([run(None, {"ids": row[None]})[0] for row in ids.numpy()])
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(together - module(ids).detach().numpy()).max() < error


def test_four_bits_are_kept_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    module = Linear().eval()
    for weight in (module.words.weight, module.layer.weight):
        height, width = weight.shape
        numbers = rng.integers(-8, 8, (height, width // 32, 32))
        numbers[..., 0] = -8  # the number farthest from zero is -8 steps
        scale = rng.uniform(0.01, 0.1, (height, width // 32, 1)).astype(np.float16)
        values = (numbers * scale.astype(np.float32)).reshape(height, width)
        weight.data = torch.from_numpy(values.astype(np.float32))
    ids, path = torch.arange(24).view(6, 4), tmp_path / "model.onnx"
    graph.write_graph(module, (ids,), path, ["ids"], ["out"], {1: "tokens"}, graph.nibbles)
    run = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run
    assert np.allclose(run(None, {"ids": ids.numpy()})[0], module(ids).detach(), atol=1e-5)
    assert path.stat().st_size < 0.25 * 4 * sum(p.numel() for p in module.parameters()) + 6000


def test_the_cosine_is_the_weighted_sum_of_both_parts() -> None:
    a, b = (torch.randn(3, 8) for _ in range(2))
    c, d = (torch.rand(3, 5) for _ in range(2))
    whole = (model.side_by_side(a, c, 0.2) * model.side_by_side(b, d, 0.2)).sum(1)
    cosine = torch.nn.functional.cosine_similarity
    assert torch.allclose(whole, 0.8 * cosine(a, b) + 0.2 * cosine(c, d), atol=1e-6)


def test_neighbours_say_what_a_picture_shows_and_never_itself() -> None:
    rng = torch.Generator().manual_seed(0)
    looks = torch.randn(2, 16, generator=rng).repeat_interleave(3, 0)
    features = torch.cat([looks, looks[:1]]) + 0.01 * torch.randn(7, 16, generator=rng)
    said = torch.eye(4)[[0, 0, 1, 2, 2, 2, 3]]  # the third is called something else by mistake
    around = alike.neighbours_words(features, said, range(6))
    assert around[:6].argmax(1).tolist()[2:] == [0, 2, 2, 2]
    assert around[2, 1] < 0.01
    assert around[0, 3] == 0  # the seventh lies outside
    assert around[6].abs().max() == 0
    assert torch.allclose(around[:6].norm(dim=1), torch.ones(6))


def test_a_text_finds_the_classes_that_are_a_kind_of_it() -> None:
    names = torch.eye(4)  # cat, dog, animal, car
    members = torch.tensor([[0, 2], [1, 2], [3, 3]])
    concepts = model.Concepts(names, members, tau=0.1)
    assert concepts(names[2:3]).argsort(descending=True)[0, :2].sort().values.tolist() == [0, 1]


def test_auroc_is_the_chance_of_scoring_higher() -> None:
    inside, outside = torch.tensor([3.0, 1.0]), torch.tensor([2.0, 0.0])
    assert evaluate.auroc(inside, outside) == pytest.approx(0.75)


def test_evaluation_reads_only_dev() -> None:
    rows = [
        Picture("a", "things", "dev", ("cat",), ()),
        Picture("b", "things", "dev", ("dog",), ()),
        Picture("c", "things", "train", ("dog",), ()),
    ]
    table = torch.eye(2)

    def images(chosen):
        assert 2 not in chosen
        return table[list(chosen)]

    def texts(prompts):
        return table[[int("dog" in prompt) for prompt in prompts]]

    assert evaluate.evaluate(rows, images, texts)["things"] == 100


def test_any_of_a_pictures_own_labels_is_right_and_other_asks_nothing() -> None:
    rows = [
        Picture("a", "roll", "dev", ("beach", "sunset"), ()),
        Picture("b", "roll", "dev", ("cat",), ()),
        Picture("c", "roll", "dev", ("other",), ()),
    ]
    table = {"beach": 0, "cat": 1, "sunset": 2}
    shown = torch.eye(3)[[2, 0, 1]]  # a sunset, and a cat that looks like a beach

    def texts(said):
        return torch.eye(3)[[table[text.rpartition(" ")[2]] for text in said]]

    figures = evaluate.evaluate(rows, lambda chosen: shown[list(chosen)], texts)
    assert figures["roll"] == 50


def test_what_is_also_true_does_not_compete() -> None:
    shown = [("beach", "sunset"), ("cat",), ("sunset",)]
    mask = train._also_true(shown, ["beach", "cat", "sunset"])
    assert mask.tolist() == [[False, False, True], [False] * 3, [False] * 3]


@pytest.mark.skipif(not WORDNET.is_dir(), reason="Debian's wordnet-base isn't installed")
def test_wordnet_knows_hypernyms() -> None:
    wordnet = words.WordNet(WORDNET)
    beagle = wordnet.first("beagle")
    assert beagle is not None
    assert "dog" in words.kinds(beagle, wordnet, 3)
    assert words.phrasings("beagle", beagle, wordnet)[0] == "beagle"
