"""The network: files from a hub, named by the user, checked, and complete or absent.

The only user of huggingface_hub. HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN mean what they mean
there. A file that was cut off goes on where it stopped, also in a later run.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zeroshelf.errors import UserError
from zeroshelf.system import app_folders, mounts
from zeroshelf.system.telemetry import huggingface_hub

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy")
ROOM = 100_000_000  # bytes to be left free on the disk


@dataclass(frozen=True, slots=True)
class RemoteFile:
    path: str  # in the repository, with "/"
    size: int  # bytes
    sha256: str | None  # None: a small file, which the hub does not hash this way


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository at one commit."""

    repo: str  # "immich-app/ViT-B-16-SigLIP2__webli"
    revision: str  # the commit
    licence: str
    files: tuple[RemoteFile, ...]


def look(repo: str, revision: str | None = None) -> Remote:
    """What the hub has of `repo`. Refuses a repository whose file names leave its folder."""
    with _plainly(repo):
        info = (
            huggingface_hub()
            .HfApi(endpoint=_endpoint())
            .model_info(repo, revision=revision, files_metadata=True)
        )
    files = []
    for sibling in info.siblings or ():
        if not is_inside(sibling.rfilename):
            raise UserError(
                f"{repo} names a file outside its folder ({sibling.rfilename!r}): refused"
            )
        sha256 = sibling.lfs.sha256 if sibling.lfs else None
        files.append(RemoteFile(sibling.rfilename, sibling.size or 0, sha256))
    licence = str(getattr(info.card_data, "license", None) or "not stated by the repository")
    return Remote(repo, info.sha or revision or "main", licence, tuple(files))


def download(remote: Remote, files: Iterable[RemoteFile], folder: Path) -> None:
    """Bring `files` into `folder` and check each one's size and, where it is known, SHA-256.

    A full disk raises before or while it happens, and then what was brought so far is removed.
    """
    files = list(files)
    missing = sum(file.size for file in files if not (folder / file.path).is_file())
    folder.mkdir(parents=True, exist_ok=True)
    free = mounts.free_bytes(str(folder))
    if free is not None and missing + ROOM > free:
        shutil.rmtree(folder)
        raise UserError(
            f"{remote.repo} needs {missing / 1e6:,.0f} MB, but {folder.parent} has "
            f"{free / 1e6:,.0f} MB free; make room or set ZEROSHELF_MODELS to another disk"
        )
    for file in files:
        try:
            with _plainly(remote.repo):
                _bring(remote, file, folder / file.path)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            shutil.rmtree(folder, ignore_errors=True)
            raise UserError(f"the disk is full ({folder.parent}); nothing was installed") from error
        _check(remote, file, folder)


def _bring(remote: Remote, file: RemoteFile, target: Path) -> None:
    """One file, into `target`.part first, from where an earlier run left off.

    huggingface_hub's own hf_hub_download starts again with every run; its http_get can go on.
    """
    hub = huggingface_hub()
    if target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    have = part.stat().st_size if part.is_file() else 0
    have = have if have <= file.size else 0
    with part.open("r+b" if have else "wb") as sink:
        sink.seek(have)
        huggingface_hub("file_download").http_get(
            hub.hf_hub_url(remote.repo, file.path, revision=remote.revision, endpoint=_endpoint()),
            sink,
            resume_size=have,
            headers=huggingface_hub("utils").build_hf_headers(),
            expected_size=file.size,
            displayed_filename=file.path,
        )
    part.replace(target)


def checkpoint(repo: str, revision: str | None = None) -> Path:
    """A checkpoint of torch for the export, without its pickles, in the cache."""
    remote = look(repo, revision)
    suffixes = (".json", ".txt", ".safetensors", ".model", ".jinja")
    files = [file for file in remote.files if file.path.endswith(suffixes)]
    if not any(file.path.endswith(".safetensors") for file in files):
        pickles = [file.path for file in remote.files if file.path.endswith(PICKLES)]
        found = f"only {pickles[0]}, which is pickled" if pickles else "no weights"
        raise UserError(f"{repo} has {found}; zeroshelf opens .safetensors only")
    name = f"{repo.replace('/', '--')}@{remote.revision[:12]}"
    folder = Path(app_folders.cache(), "checkpoints", name)
    download(remote, files, folder)
    return folder


def is_inside(path: str) -> bool:
    """Does a name that someone else chose stay inside the folder that it is meant for?"""
    parts = PurePosixPath(path).parts
    plain = bool(parts) and not path.startswith("/") and "\\" not in path and ":" not in path
    return plain and ".." not in parts and "\0" not in path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(remote: Remote, file: RemoteFile, folder: Path) -> None:
    path = folder / file.path
    size = path.stat().st_size
    if size == file.size and (file.sha256 is None or sha256(path) == file.sha256):
        return
    shutil.rmtree(folder)  # not kept: a later run would take it for good
    wrong = "size" if size != file.size else "SHA-256"
    raise UserError(f"{remote.repo}: {file.path} has the wrong {wrong}; nothing was installed")


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _plainly(repo: str) -> Iterator[None]:
    """Turns the hub's errors into a `UserError` of one line that says what to do."""
    errors = huggingface_hub("errors")
    hub = _endpoint() or "https://huggingface.co"
    try:
        yield
    except errors.GatedRepoError as error:
        raise UserError(f"{repo} is gated: accept its terms on {hub}, then set HF_TOKEN") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(f"{hub} has no {repo}, or it is private (then set HF_TOKEN)") from error
    except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise UserError(_offline(hub, repo)) from error
        raise UserError(f"{repo}: {str(error).splitlines()[0]}") from error
    except errors.HFValidationError as error:
        raise UserError(f"{repo!r} is not a valid name of a model on a hub") from error
    except errors.OfflineModeIsEnabled as error:
        raise UserError(f"HF_HUB_OFFLINE is set: unset it to get {repo} from {hub}") from error
    except ConnectionError as error:
        raise UserError(_offline(hub, repo)) from error
    except errors.HfHubHTTPError as error:
        raise UserError(f"{hub}: {str(error).splitlines()[0]}") from error
    except Exception as error:
        # huggingface_hub lets its HTTP library's errors through, whichever library that is
        if type(error).__module__.split(".")[0] not in ("httpx", "httpx2", "httpcore", "requests"):
            raise
        raise UserError(_offline(hub, repo)) from error


def _offline(hub: str, repo: str) -> str:
    return (
        f"{hub} can't be reached, or was cut off; run it again (it resumes), set HF_ENDPOINT to a "
        f"mirror, or bring {repo} as a folder from elsewhere and name it: --model FOLDER"
    )
