"""Signatures of kernel messages. Pure.

Source: Jupyter messaging 5.4, The Wire Protocol: HMAC-SHA256 over header, parent header, metadata
and content; buffers are not signed. RFC 2104 says what an HMAC is.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

_BLOCK_BYTES = 64


class Signer:
    """Makes and checks signatures with one key. The two keyed states are made once and copied: half the time of
    `hmac.HMAC.copy`, which is written in Python."""

    def __init__(self, key: bytes) -> None:
        if len(key) > _BLOCK_BYTES:
            key = hashlib.sha256(key).digest()
        block = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(self, frames: Sequence[bytes]) -> bytes:
        inner = self._inner.copy()
        inner.update(b"".join(frames))
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest().encode()

    def is_valid(self, signature: bytes, frames: Sequence[bytes]) -> bool:
        return hmac.compare_digest(self.sign(frames), signature)
