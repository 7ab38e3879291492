"""The recipe's commands, in the order in which they are run. See README.md."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from training import recipe


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in recipe.COMMANDS.items():
        command = commands.add_parser(name, help=(function.__doc__ or "").splitlines()[0])
        command.add_argument("--index", type=Path, action="append", help="index.jsonl; repeatable")
        command.add_argument("--cache", type=Path, default=Path("build/training"))
        command.add_argument("--out", type=Path, default=Path("build/starter"))
        command.add_argument(
            "--against", type=Path, help="an earlier model's folder, for comparison (evaluate)"
        )
        command.add_argument(
            "--previous", type=Path, default=Path("build/version-2"), help="version 2's folder"
        )
        command.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
        command.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.index = arguments.index or [
        Path("../shared/data/index.jsonl"),
        Path("../shared/data/index-everyday.jsonl"),
    ]
    recipe.COMMANDS[arguments.command](arguments)


if __name__ == "__main__":
    main()
