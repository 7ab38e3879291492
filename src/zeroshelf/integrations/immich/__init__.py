"""Immich: tags and albums for the pictures of a run, through Immich's API, versions 2 and 3.

- client: one server, its API key, and the calls that are needed
- assets: the pictures of a run -> the server's assets, by SHA-1
- tagging: tags and albums, and their undo
- ledger: what a run added on a server, in the run's record
"""
