"""Signatures of kernel messages. Pure.

Source: Jupyter messaging 5.4, The Wire Protocol: HMAC-SHA256 over header, parent header, metadata
and content; buffers are not signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


class Signer:
    """Makes and checks signatures with one key. The keyed state is made once and copied."""

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod=hashlib.sha256)

    def sign(self, frames: Sequence[bytes]) -> bytes:
        state = self._keyed.copy()
        for frame in frames:
            state.update(frame)
        return state.hexdigest().encode()

    def is_valid(self, signature: bytes, frames: Sequence[bytes]) -> bool:
        return hmac.compare_digest(self.sign(frames), signature)
