"""Gzip for payloads: only where it helps, and off the event loop when it takes time."""

from __future__ import annotations

import asyncio
import gzip
import zlib

from perdure.storage.protocol import PayloadDamaged

_MIN_BYTES = 512
_SAMPLE_BYTES = 32 * 1024
_WORTHWHILE = 0.9
_IN_LOOP_BYTES = 32 * 1024


async def pack(data: bytes) -> tuple[bytes, bool]:
    """Return `data` gzipped and True, or `data` itself and False if that saves less than a tenth."""
    if len(data) < _MIN_BYTES:
        return data, False
    if len(data) <= _IN_LOOP_BYTES:
        return _pack(data)
    return await asyncio.to_thread(_pack, data)


async def unpack(data: bytes, what: str) -> bytes:
    """Undo `pack`'s gzip.

    Args:
        data: what was packed.
        what: how an error names it, such as "payload 'p' of 'order-1'".

    Raises:
        PayloadDamaged: it is no whole gzip, or its checksum tells that bytes have changed.
    """
    unpacked_bytes = int.from_bytes(data[-4:], "little")  # RFC 1952: the trailer's ISIZE
    try:
        if not data:
            raise EOFError("nothing is left of it")
        if unpacked_bytes <= _IN_LOOP_BYTES:
            return gzip.decompress(data)
        return await asyncio.to_thread(gzip.decompress, data)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise PayloadDamaged(f"The {what} is damaged: {error}. Restore its bytes, or do without it.") from error


def _pack(data: bytes) -> tuple[bytes, bool]:
    middle = max(0, len(data) // 2 - _SAMPLE_BYTES // 2)
    sample = data[middle : middle + _SAMPLE_BYTES]
    if len(zlib.compress(sample, 1)) > len(sample) * _WORTHWHILE:
        return data, False
    packed = gzip.compress(data, compresslevel=5, mtime=0)
    return (packed, True) if len(packed) < len(data) * _WORTHWHILE else (data, False)
