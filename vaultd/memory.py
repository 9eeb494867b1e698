"""Give memory back after a large piece of work: glibc keeps what was freed, and a daemon runs for months."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Collect garbage and return free memory to the system; does nothing where the C library has no malloc_trim."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
