"""gzip as the archive holds it: one member after the other, never more than was announced."""

from __future__ import annotations

from isal import isal_zlib
from isal.igzip_lib import IsalError

from runner.errors import StoreRejected

_GZIP = 31


def gunzip(body: bytes, size: int, place: str) -> bytes:
    """The content of all members, each at most `size` bytes. Raises `StoreRejected` naming the `place` of the body."""
    return b"".join(members(body, size, place))


def members(body: bytes, size: int, place: str) -> list[bytes]:
    """The content of each member. Raises like `gunzip`."""
    found: list[bytes] = []
    while body:
        member = isal_zlib.decompressobj(wbits=_GZIP)
        try:
            found.append(member.decompress(body, size + 1))
        except IsalError as error:  # type: ignore[misc]  # its stub declares the class as an instance
            raise StoreRejected(f"{place} is not gzip: {error}") from None
        if not member.eof:
            raise StoreRejected(f"{place} is cut off, or holds more than the raw_bytes of its metadata")
        body = member.unused_data
    return found
