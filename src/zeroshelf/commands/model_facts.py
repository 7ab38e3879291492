"""What `zeroshelf models` prints about models: table rows, JSON rows and the facts of one model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from zeroshelf.models import calibrations, catalogue, installed, select
from zeroshelf.models.catalogue import Row
from zeroshelf.models.families import read_json
from zeroshelf.records import Model

COLUMNS = ["id", "here", "ImageNet", "MB", "about/s", "speaks", "licence"]


def table_rows(here: Collection[str], gflops: float) -> list[list[str | int]]:
    """The starters, the catalogue and other installed models, a row of `COLUMNS` each.

    here: the ids of the installed models.
    gflops: this machine's speed, as `select.gflops` gives it.
    """
    rows: list[list[str | int]] = []
    for id, folder in select.starters().items():
        languages = read_json(folder / "config.json")["languages"]
        size = sum(file.stat().st_size for file in folder.rglob("*.onnx")) // 1_000_000
        rows.append([id, "yes", "", size, "", _languages(languages), "MIT"])
    for row in catalogue.rows().values():
        rate = catalogue.pictures_per_second(row, gflops)
        rows.append(
            [
                row.id,
                "yes" if row.id in here else ("export" if row.export else ""),
                f"{row.top1:.1f}" if row.top1 else "",
                row.mb,
                f"{rate:.1f}" if rate < 10 else f"{rate:.0f}",
                _languages(row.languages),
                row.licence,
            ]
        )
    return rows + [[id, "yes", "", 0, "", "", ""] for id in here if id not in catalogue.rows()]


def json_rows(here: Collection[str], gflops: float) -> list[dict[str, Any]]:
    """The catalogue for --json; arguments as for `table_rows`."""
    return [
        {
            "id": row.id, "name": row.name, "installed": row.id in here, "top1": row.top1,
            "mb": row.mb, "parameters_millions": row.params, "licence": row.licence,
            "languages": list(row.languages), "repo": row.repo, "export": row.export,
            "pictures_per_second": catalogue.pictures_per_second(row, gflops),
            "memory_mb": catalogue.memory_mb(row),
        }
        for row in catalogue.rows().values()
    ]  # fmt: skip


def of_model(
    model: Model, device: str, row: Row | None, half_cosine: float | None = None
) -> dict[str, Any]:
    """Everything known about a model on this machine, name -> value as it is printed.

    device: on which the model runs here.
    row: its row of the catalogue, if it has one.
    half_cosine: to float32, where the image tower computes in half precision here.
    """
    facts: dict[str, Any] = {
        "id": model.id,
        "folder": str(model.folder),
        "licence": model.licence,
        "languages": " ".join(model.languages) or "not stated",
        "dimensions": model.dim,
        "picture": f"{model.preprocessing.size} px, {model.preprocessing.resize_mode}, "
        f"{model.preprocessing.interpolation}",
        "text": f"{model.context_length} tokens",
        "logits": f"{model.logit_scale:g} x cosine",
        "other": calibrations.described(select.calibration(model)),
        "device": device.upper(),
        "digest": model.digest,
    }
    if half_cosine is not None:
        facts["precision"] = f"half on {device.upper()}, cosine to float32 {half_cosine:.6f}"
    here = installed.record(model.folder)
    if here.get("repo"):
        facts["source"] = f"{here['repo']} at commit {here['revision']}"
    facts |= {f"sha256 of {path}": sum_ for path, sum_ in here.get("sha256", {}).items()}
    if row is not None:
        facts |= {key: value for key, value in of_row(row).items() if key not in facts}
    return facts


def of_row(row: Row) -> dict[str, Any]:
    """What the catalogue says about a model, name -> value as it is printed."""
    facts = {
        "name": row.name,
        "source": row.repo or f"export {row.export}",
        "ImageNet": f"{row.top1} % top-1, zero-shot, as published" if row.top1 else "not published",
        "size": f"{row.mb} MB, {row.params} million parameters",
        "licence": row.licence,
        "languages": " ".join(row.languages),
        "note": row.note,
    }
    return {key: value for key, value in facts.items() if value}


def _languages(languages: Sequence[str]) -> str:
    return ", ".join(languages) if len(languages) < 4 else "many"
