"""The version in the header of each file that zeroshelf writes and reads again.

Every such file says its format in one key of its header ("zeroshelf_plan": 1), or of each row where
it has no header. Readers call `FileFormat.check` before anything else. Version 0.1.0 wrote some of
these files without a version: those count as version 1, and differ in nothing else.

The embedding cache has its version in SQLite's `user_version`, see embeddings/cache_db.py. XMP
sidecars are not zeroshelf's own format: its one property there has the version in its namespace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zeroshelf.errors import UserError


class NewerFile(UserError):
    """A newer zeroshelf wrote the file: it is whole, and this version can't tell what it says."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """One kind of file. `version` is the one that is written: raise it with every change that the
    readers of before would misunderstand, and keep reading the earlier ones."""

    key: str
    version: int = 1

    @property
    def header(self) -> dict[str, int]:
        """The key and the version, to be written into the header."""
        return {self.key: self.version}

    def check(self, path: str, header: Mapping[str, object]) -> int:
        """The version of the file at `path`; 1 where `header` names none, as in files of 0.1.0.

        Raises:
            NewerFile: a newer zeroshelf wrote it; the one line says so.
            ValueError: what stands there is no version.
        """
        found = header.get(self.key, 1)
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise ValueError(f"{self.key} is no version")
        if found > self.version:
            raise NewerFile(
                f"{path} was written by a newer zeroshelf (format {found}; this one reads up to "
                f"{self.version}): update zeroshelf"
            )
        return found


PLAN = FileFormat("zeroshelf_plan")  # plan.jsonl
RUN = FileFormat("zeroshelf_run")  # run.json
REQUEST = FileFormat("zeroshelf_request")  # request.json
PAGE = FileFormat("zeroshelf_page")  # page.arrays, in its first line
RESULTS = FileFormat("zeroshelf_results")  # results.jsonl, in each row
IGNORED = FileFormat("zeroshelf_ignored")  # ignored.json
JOURNAL = FileFormat("zeroshelf_journal")  # journal.jsonl
EDITS = FileFormat("zeroshelf_edits")  # edits.jsonl
STORED_CORRECTIONS = FileFormat("zeroshelf_marks")  # of a label set; the key of 0.1.0
RUN_CORRECTIONS = FileFormat("zeroshelf_corrections")  # corrections.jsonl
LOCK = FileFormat("zeroshelf_lock")  # the folders of a lock
INSTALLED_MODEL = FileFormat("zeroshelf_model")  # beside an installed model's files
CALIBRATION = FileFormat("zeroshelf_calibration", 2)  # of `models calibrate`; 1 has no origin
IMMICH = FileFormat("zeroshelf_immich")  # immich.jsonl, in each line
MODEL_DIGESTS = FileFormat("zeroshelf_digests")  # model-digests.json
APP = FileFormat("zeroshelf_app")  # app.json
