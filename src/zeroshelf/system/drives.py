"""Where the system shows drives that were plugged in, and network drives of this user."""

from __future__ import annotations

import os
import string
import sys


def folders(system: str = sys.platform) -> list[str]:
    """The folders that are there now. Linux: those in which desktops mount drives for this user;
    macOS: /Volumes; Windows: every drive but the one with the home folder.

    system: as `sys.platform` names it.
    """
    home = os.path.expanduser("~")
    if system == "win32":
        own = os.path.splitdrive(home)[0].upper()
        drives = (f"{letter}:" for letter in string.ascii_uppercase[2:])
        places = [f"{drive}\\" for drive in drives if drive != own]
    elif system == "darwin":
        places = ["/Volumes"]
    else:
        name = os.path.basename(home)
        places = [f"/media/{name}", f"/run/media/{name}"] if name else []
    return [place for place in places if os.path.isdir(place)]
