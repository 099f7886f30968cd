"""The garbage collector of the programs that carry messages."""

from __future__ import annotations

import gc

# A collection looks at all young objects. With the defaults that is after each dozen messages, and finds nothing: what
# a relay makes is freed by counting references.
GC_THRESHOLDS = (20_000, 20, 50)


def settle_memory() -> None:
    """Call it when all is loaded: what is there stays for good, so the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
