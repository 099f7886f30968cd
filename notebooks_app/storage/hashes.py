"""SHA-256 of files, remembered while a file stays as it is."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import BinaryIO

READ_BYTES = 1024 * 1024
KEPT_COUNT = 20_000  # about 4 MB
# A file changed again within one tick of its clock looks unchanged: such young hashes are not kept.
MIN_AGE_S = 1.0


class HashMemory:
    """Hashes by a file's identity (device, inode, size, times). Safe between threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, str] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, identity: Hashable | None) -> str | None:
        if identity is None:
            return None
        with self._lock:
            return self._kept.get(identity)

    def hash_of(self, stream: BinaryIO, identity: tuple[int, ...] | None, *, max_bytes: int) -> str | None:
        """SHA-256 (hex) of all a stream holds, read from its beginning, where it is left again.

        None when that is more than `max_bytes`, also when it grows meanwhile.
        """
        known = self.known(identity)
        if known is not None:
            return known
        started_at = time.time()
        digest = hashlib.sha256()
        size_bytes = 0
        stream.seek(0)
        while size_bytes <= max_bytes and (chunk := stream.read(READ_BYTES)):
            size_bytes += len(chunk)
            digest.update(chunk)
        stream.seek(0)
        if size_bytes > max_bytes:
            return None
        sha256 = digest.hexdigest()
        if identity is not None and max(identity[-2:]) / 1e9 < started_at - MIN_AGE_S:
            with self._lock:
                self._kept[identity] = sha256
                while len(self._kept) > KEPT_COUNT:
                    self._kept.popitem(last=False)
        return sha256
