"""The same workers as actors of Ray: `map_batches` over the blocks of the manifest.

An actor opens its encoder by the model's id, refuses another version of the model, and returns only
counts. A lost actor or node is replaced by Ray, which gives its block to another one. After a loss
of the driver a second run goes on from the parts: Ray's own checkpoints are not used.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from zeroshelf.datasets.worker import Done, Job, Worker
from zeroshelf.errors import UserError, one_line
from zeroshelf.models import select
from zeroshelf.models.encoder import TwoTower
from zeroshelf.records import Encoder
from zeroshelf.system import machine, telemetry

_STARTS = 2  # attempts
_THREADS = 16  # that decode for one GPU, at most


@dataclass(frozen=True, slots=True)
class Actors:
    """How many actors there are, and what each one is given."""

    actors: int
    cores: float  # of each
    gpus: int = 0  # of each: 0 or 1

    @property
    def threads(self) -> int:
        """That decode and embed in one actor."""
        return max(1, int(self.cores)) if self.gpus else 1


def connect(workers: int | None) -> Actors:
    """Connect to the cluster of RAY_ADDRESS or of `ray.init`; without one, start one on this
    machine. `workers`: how many actors; None: one per GPU, or one per core where there is none."""
    ray = telemetry.ray()
    logging.getLogger("ray").setLevel(logging.ERROR)
    if not ray.is_initialized():
        cores = max(machine.processors(), workers or 1) + 1  # one more for Ray's own tasks
        local = (
            {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": cores, "include_dashboard": False}
        )
        _start(ray, local)
    there = ray.cluster_resources()
    cores, gpus = int(there.get("CPU", 1)), int(there.get("GPU", 0))
    if gpus:
        actors = min(workers or gpus, gpus)
        return Actors(actors, max(1, min(_THREADS, (cores - 1) // actors)), 1)
    return Actors(min(workers or cores, max(1, cores - 1)), 1)


def _start(ray: Any, local: dict[str, Any]) -> None:
    """Raises `UserError` where Ray can't be started or its cluster not be reached. It gives its own
    processes 30 seconds, which a busy machine may need twice."""
    for attempt in range(_STARTS):
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **local)
            return
        except Exception as error:  # Ray raises bare ones
            ray.shutdown()
            if attempt == _STARTS - 1:
                raise UserError(f"Ray can't be started: {one_line(error)}") from error


def embed(blocks: Sequence[pa.Table], job: Job, encoder: Encoder, plan: Actors) -> Iterator[Done]:
    """What came of each block, in the order in which they end.

    Raises `UserError` for what a worker could not do; the parts that are written stay.
    """
    if not isinstance(encoder, TwoTower):
        raise UserError("Ray's actors open a model by its id: give a model, not an encoder")
    data = telemetry.ray("data")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    made = data.from_arrow(list(blocks)).map_batches(
        Actor,
        fn_constructor_kwargs={
            "job": json.dumps(asdict(job)),
            "encoder": json.dumps(encoder.__reduce__()[1]),
        },
        batch_size=None,  # a block is a batch: it becomes one part
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=data.ActorPoolStrategy(size=min(plan.actors, len(blocks))),
        num_cpus=plan.cores,
        num_gpus=plan.gpus or None,
    )
    for batch in made.iter_batches(batch_size=None, batch_format="pyarrow"):
        for row in batch.to_pylist():
            if row["trouble"]:
                raise UserError(row["trouble"])
            yield Done(row["rows"], row["failed"])


class Actor:
    """A worker in a process of its own. Its arguments are short texts, which Ray gives to the
    actor that takes the place of a lost one too."""

    def __init__(self, job: str, encoder: str) -> None:
        self._job, self._encoder = Job(**json.loads(job)), json.loads(encoder)
        self._worker: Worker | None = None

    def __call__(self, block: pa.Table) -> pa.Table:
        """One row with counts, or with the reason why the whole run must end."""
        done, trouble = Done(), ""
        try:
            if self._worker is None:
                opened: Any = select.reopen(*self._encoder)
                self._worker = Worker(self._job, opened)
            done = self._worker.do(block)
        except UserError as error:
            trouble = str(error)
        return pa.table(
            {
                "rows": pa.array([done.rows], pa.int64()),
                "failed": pa.array([done.failed], pa.int64()),
                "trouble": pa.array([trouble], pa.string()),
            }
        )
