"""Checkpoints of torch become models in the hub's layout: the only torch in the project, an extra.

`export` is the whole of it. The rest of zeroshelf never imports this package.
"""

from zeroshelf.models.export.main import Written, export

__all__ = ["Written", "export"]
