"""Put every picture of a folder on the right shelf, by labels in your own words.

    import zeroshelf

    run = zeroshelf.classify("photos", ["cat", "frog"])
    run                                   # in a notebook: the pictures under their labels
    run.apply(run.plan(to="sorted"))      # copies; run.undo() takes them back

`zeroshelf.records` has the data types, in the order in which a run makes them.
"""

from typing import TYPE_CHECKING

from zeroshelf.system import telemetry

if TYPE_CHECKING:
    from zeroshelf.errors import UserError
    from zeroshelf.images.demo import demo_pictures
    from zeroshelf.records import Action, Decision, Label, LabelSet, Outcome, Picture, Plan, Skipped
    from zeroshelf.run import Run, classify, reopen

__version__ = "0.2.0"
telemetry.switch_off()  # before any library can be imported that would call home

_HOMES = {  # public name -> its module; imported when it is first used
    "Action": "records",
    "Decision": "records",
    "Label": "records",
    "LabelSet": "records",
    "Outcome": "records",
    "Picture": "records",
    "Plan": "records",
    "Run": "run",
    "Skipped": "records",
    "UserError": "errors",
    "classify": "run",
    "demo_pictures": "images.demo",
    "reopen": "run",
}
__all__ = [
    "Action", "Decision", "Label", "LabelSet", "Outcome", "Picture", "Plan", "Run", "Skipped",
    "UserError", "classify", "demo_pictures", "reopen",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'zeroshelf' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"zeroshelf.{_HOMES[name]}"), name)
