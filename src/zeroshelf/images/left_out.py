"""What a scan leaves out by name: trash, snapshots, catalogues, unfinished downloads.

To sort them would break what another program keeps there, or bring deleted pictures back. Names
are compared without case.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection

HIDDEN = "hidden"
EXCLUDED = "excluded"
OUTPUT = "earlier sorts"
SYSTEM = "trash, snapshots and system files"
CATALOGUE = "catalogues and their caches"
UNFINISHED = "unfinished downloads"
LINK = "links"

# What NAS systems and operating systems keep in a share; names with a "." are hidden anyway.
_SYSTEM_FOLDERS = frozenset({
    "@eadir", "#recycle", "#snapshot", "@tmp", "@sharebin", "@sharesnap",  # Synology, TerraMaster
    "@recycle", "@recently-snapshot", "@__thumb", "@transcode", "@upload_cache",  # QNAP, Asustor
    "~snapshot", "~latest", "~ckpt",  # NetApp, Hitachi, EMC over SMB
    "network recycle bin", "network trash folder", "trashbox", "temporary items",
    "thevolumesettingsfolder", "__macosx",
    "$recycle.bin", "recycler", "recycled", "system volume information", "lost+found",
    "files_trashbin", "files_versions",  # the data folder of Nextcloud and ownCloud
})  # fmt: skip
_SNAPSHOT = re.compile(r"@gmt-\d{4}\.\d\d\.\d\d-\d\d\.\d\d\.\d\d")  # Samba's previous versions
_RECYCLE_BIN = re.compile(r"recycle bin( - .*)?")  # WD: "Recycle Bin - Volume_1"
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini",
                           "picasa.ini", "zbthumbnail.info", "icon\r"})  # fmt: skip
_SYSTEM_ENDINGS = ("@synoresource", "@synoeastream")

_LIBRARIES = (".photoslibrary", ".photolibrary", ".aplibrary", ".apvault", ".migratedphotolibrary",
              ".migratedaplibrary", ".lrlibrary", ".cocatalog", ".imovielibrary", ".fcpbundle",
              ".theater")  # fmt: skip
_CACHES = (".lrdata", ".lrcat-data")
_ORIGINALS = "[originals]"  # ACDSee's, of what it changed: each has the name of its picture outside
_CAPTURE_ONE_CATALOGUE = frozenset({"adjustments", "cache", "originals"})

_UNFINISHED = frozenset({
    ".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart", ".tmp", ".temp",
    ".!ut", ".!bt", ".!qb", ".!sync", ".bc!", ".jc!", ".dctmp", ".aria2", ".td", ".xltd", ".idm",
    ".dtapart", ".dlpart", ".fdmdownload", ".ownclouddownload", ".parts",
})  # fmt: skip
_UNFINISHED_STARTS = ("~$", "~syncthing~")
_UNFINISHED_ENDINGS = ("_exiftool_tmp", ".!owncloudsync")


def of_file(name: str, suffix: str, loading: Collection[str] = ()) -> str | None:
    """Why a file is left out, or None. `suffix` in lower case, with its dot; `loading` as
    `still_loading` tells."""
    if name.startswith("."):
        return HIDDEN
    if suffix in _UNFINISHED or name in loading:
        return UNFINISHED
    folded = name.lower()
    if folded in _SYSTEM_FILES or folded.endswith(_SYSTEM_ENDINGS):
        return SYSTEM
    if folded.startswith(_UNFINISHED_STARTS) or folded.endswith(_UNFINISHED_ENDINGS):
        return UNFINISHED
    return None


def of_folder(name: str, above: str, beside: Collection[str]) -> str | None:
    """Why a folder is left out, or None. `above`: the path of the folder that it lies in, `beside`:
    the names of what lies next to it."""
    if name.startswith("."):
        return HIDDEN
    folded = name.lower()
    if folded in _SYSTEM_FOLDERS or _SNAPSHOT.fullmatch(folded) or _RECYCLE_BIN.fullmatch(folded):
        return SYSTEM
    if folded.endswith(_LIBRARIES + _CACHES) or folded == _ORIGINALS:
        return CATALOGUE
    is_capture_one = os.path.basename(above).lower() == "captureone"
    if is_capture_one and (folded == "cache" or folded.startswith("settings")):
        return CATALOGUE
    if folded in _CAPTURE_ONE_CATALOGUE and any(n.lower().endswith(".cocatalogdb") for n in beside):
        return CATALOGUE
    return UNFINISHED if folded.endswith(".download") else None


def still_loading(names: Collection[str]) -> set[str]:
    """Those files of one folder whose download isn't finished, as a file beside them tells."""
    ends = (".aria2", ".aria2__temp")
    return {name[: name.rindex(".")] for name in names if name.lower().endswith(ends)}


def library_around(path: str) -> str | None:
    """The library or catalogue that a folder is, or lies in: its path, or None."""
    while True:
        above, name = os.path.split(path)
        if name.lower().endswith(_LIBRARIES + _CACHES):
            return path
        if above == path:
            return None
        path = above
