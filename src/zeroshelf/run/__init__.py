"""The public object: `classify` and `reopen` make a `Run`, which is corrected, planned and applied.

The command line, the notebook and other programs use these same functions.
"""

from zeroshelf.run.run import Labels, Run
from zeroshelf.run.sources import Sources
from zeroshelf.run.start import classify, reopen

__all__ = ["Labels", "Run", "Sources", "classify", "reopen"]
