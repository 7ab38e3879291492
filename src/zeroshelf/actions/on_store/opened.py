"""Which class speaks to a store, by the URI's scheme."""

from __future__ import annotations

from zeroshelf.actions.on_store.objects import Store
from zeroshelf.errors import UserError
from zeroshelf.system import uris


def store_of(uri: str, endpoint: str | None = None) -> Store:
    """The store on which a URI lies.

    endpoint: URL of a server that speaks the store's protocol; None: the environment's, else the
        provider's own.

    Raises `MissingPackage` where a package for it isn't installed, `UserError` where it can't be
    opened.
    """
    if not uri.partition("://")[2].strip("/") and uris.scheme_of(uri) != "memory":
        raise UserError(f"{uri}: a bucket is missing")
    if uris.scheme_of(uri) in ("s3", "s3a"):
        from zeroshelf.actions.on_store.s3 import S3

        return S3(endpoint)
    from zeroshelf.actions.on_store.through_fsspec import Fsspec

    return Fsspec(uri, endpoint)
