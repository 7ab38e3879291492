"""A program that uses every public name: `mypy` checks it with all other files, strictly. It is
never run."""

from __future__ import annotations

import zeroshelf as zs


def pictures(folder: str) -> zs.Index:
    encoder: zs.Encoder = zs.load_model("starter", device="cpu")
    cache = zs.EmbeddingCache.open()
    index: zs.Index = zs.index(folder, encoder=encoder, store=cache)
    embeddings: zs.Embeddings = index.embeddings
    model: zs.Model = index.model
    print(len(index), index.paths[0], index.vectors.shape, embeddings.skipped, model.id)
    first: zs.Picture = embeddings.pictures[0]
    skipped: tuple[zs.Skipped, ...] = index.skipped
    print(first.path, [one.reason for one in skipped])
    for made in zs.embed_batch([first.path, ("a.jpg", b"")], encoder):
        if isinstance(made, zs.EmbeddedFile):
            print(made.vector.shape, made.digest.hex())
        else:
            refused: zs.Unreadable = made
            print(refused)
    return index


def searching(index: zs.Index) -> list[str]:
    hits: zs.Hits = index.search(["dog", "+snow", "-people"], top=20, least=0.5)
    hits = index.search({"dog": 1, "snow": -0.5}, image="a.jpg", top=None, fold=False)
    best: zs.Hit = hits[0]
    query: zs.Query = hits.query
    term: zs.Term = query.terms[0]
    print(best.score, best.probability, best.near_duplicates, term.weight)
    odd: list[zs.Outlier] = index.outliers(5)
    common: list[str] = index.typical([one.path for one in odd], count=1)
    shelves: tuple[zs.Shelf, ...] = index.suggest_labels()
    print(common, odd[0].similarity, shelves[0].name, index.near_duplicates())
    return [hit.path for hit in hits]


def sorting(index: zs.Index, folder: str) -> zs.Run:
    labels: zs.LabelSet = zs.read_labels("labels.toml")
    labels = zs.LabelSet((zs.Label("cat", ("kitten",)),))
    try:
        run: zs.Run = index.classify(labels)
        run = zs.classify(folder, ["cat", "frog"])
    except zs.NothingToSort:
        run = zs.reopen()
    except (zs.ArgumentError, zs.MissingPackage, zs.UserError, zs.ZeroshelfError):
        raise
    request: zs.Request = run.request
    corrections: zs.Corrections = run.correct({"a.jpg": "cat"}).corrections
    given: list[zs.Correction] = [*corrections.given.values()]
    decision: zs.Decision = run[0]
    print(request.folder, given, decision.label, len(run), run["cat"], [one.label for one in run])
    result: zs.Evaluation = run.evaluate({"a.jpg": "cat", "b.jpg": ["dog", "frog"]})
    cats: zs.LabelResult = result.labels["cat"]
    print(cats.recall, run.probabilities.sum(), run.to_pandas().shape, run.to_arrow())
    plan: zs.Plan = run.plan(to="Sorted")
    action: zs.Action = plan.actions[0]
    outcomes: list[zs.Outcome] = run.apply(plan)
    print(action.target, outcomes[0].status)
    return run


def listing() -> None:
    for one in zs.runs():
        if isinstance(one, zs.NewerRun):
            print(one.id)
        else:
            record: zs.RunRecord = one
            print(record.folder)
    models: list[zs.ModelInfo] = zs.models()
    print(models[0].id, zs.demo_pictures("demo"))


def dataset(folder: str) -> int:
    made: zs.EmbeddedDataset = zs.embed_dataset(folder, "Vectors", model="starter", rows=64)
    print(made.embedded, made.failed, made.earlier, [part.num_rows for part in made.tables()])
    return len(made)
