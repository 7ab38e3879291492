"""Put every picture of a folder on the right shelf, by labels in your own words.

    import zeroshelf as zs

    run = zs.classify("Photos", ["cat", "frog"])
    run                                   # in a notebook: the pictures under their labels
    run.apply(run.plan(to="Sorted"))      # copies; run.undo() takes them back

    index = zs.index("Photos")            # the embeddings of a folder, for search and more
    index.search("red car")

docs/python.md is the guide. `zeroshelf.records` has the data types, in the order in which a run
makes them.
"""

from typing import TYPE_CHECKING

from zeroshelf.system import telemetry

if TYPE_CHECKING:
    from zeroshelf.datasets.embed import EmbeddedDataset, embed_dataset
    from zeroshelf.decisions.evaluate import Evaluation, LabelResult
    from zeroshelf.embeddings.cache import EmbeddingCache
    from zeroshelf.embeddings.files import EmbeddedFile, embed_batch
    from zeroshelf.errors import (
        ArgumentError,
        MissingPackage,
        NothingToSort,
        Unreadable,
        UserError,
        ZeroshelfError,
    )
    from zeroshelf.images.demo import demo_pictures
    from zeroshelf.index import Index, index
    from zeroshelf.labels.labels_file import read_labels
    from zeroshelf.labels.suggest import Shelf
    from zeroshelf.models.listing import ModelInfo, load_model, models
    from zeroshelf.output.hits import Hits
    from zeroshelf.records import (
        Action,
        Correction,
        Corrections,
        Decision,
        Embeddings,
        Encoder,
        Label,
        LabelSet,
        Model,
        Outcome,
        Picture,
        Plan,
        Request,
        Skipped,
    )
    from zeroshelf.run.run import Run
    from zeroshelf.run.start import classify, reopen
    from zeroshelf.runs.listing import runs
    from zeroshelf.runs.registry import NewerRun, RunRecord
    from zeroshelf.search.find import Hit
    from zeroshelf.search.outliers import Outlier
    from zeroshelf.search.query import Query, Term

__version__ = "0.2.0"
telemetry.switch_off()  # before any library can be imported that would call home

_HOMES = {  # public name -> its module; imported when it is first used
    "Action": "records",
    "ArgumentError": "errors",
    "Correction": "records",
    "Corrections": "records",
    "Decision": "records",
    "EmbeddedDataset": "datasets.embed",
    "EmbeddedFile": "embeddings.files",
    "EmbeddingCache": "embeddings.cache",
    "Embeddings": "records",
    "Encoder": "records",
    "Evaluation": "decisions.evaluate",
    "Hit": "search.find",
    "Hits": "output.hits",
    "Index": "index",
    "Label": "records",
    "LabelResult": "decisions.evaluate",
    "LabelSet": "records",
    "MissingPackage": "errors",
    "Model": "records",
    "ModelInfo": "models.listing",
    "NewerRun": "runs.registry",
    "NothingToSort": "errors",
    "Outcome": "records",
    "Outlier": "search.outliers",
    "Picture": "records",
    "Plan": "records",
    "Query": "search.query",
    "Request": "records",
    "Run": "run.run",
    "RunRecord": "runs.registry",
    "Shelf": "labels.suggest",
    "Skipped": "records",
    "Term": "search.query",
    "Unreadable": "errors",
    "UserError": "errors",
    "ZeroshelfError": "errors",
    "classify": "run.start",
    "demo_pictures": "images.demo",
    "embed_batch": "embeddings.files",
    "embed_dataset": "datasets.embed",
    "load_model": "models.listing",
    "read_labels": "labels.labels_file",
    "reopen": "run.start",
}
_CALLED = ("index", "models", "runs")  # public functions that are modules of that name too
__all__ = [
    "Action", "ArgumentError", "Correction", "Corrections", "Decision", "EmbeddedDataset",
    "EmbeddedFile", "EmbeddingCache", "Embeddings", "Encoder", "Evaluation", "Hit", "Hits", "Index",
    "Label", "LabelResult", "LabelSet", "MissingPackage", "Model", "ModelInfo", "NewerRun",
    "NothingToSort", "Outcome", "Outlier", "Picture", "Plan", "Query", "Request", "Run",
    "RunRecord", "Shelf", "Skipped", "Term", "Unreadable", "UserError", "ZeroshelfError",
    "classify", "demo_pictures", "embed_batch", "embed_dataset", "index", "load_model", "models",
    "read_labels", "reopen", "runs",
]  # fmt: skip


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _CALLED:
        return import_module(f"zeroshelf.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'zeroshelf' has no attribute {name!r}")
    return getattr(import_module(f"zeroshelf.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
