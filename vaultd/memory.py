"""The process's memory: how often garbage is looked for, and free memory given back after a large piece of work."""

from __future__ import annotations

import ctypes
import gc

SELDOM = (50_000, 20, 100)


def collect_seldom() -> None:
    """Look for garbage less often. A run holds a hundred thousand tuples, none of them garbage: looking through all of
    them again and again took a third of the time in which it judges them."""
    gc.freeze()
    gc.set_threshold(*SELDOM)


def give_back() -> None:
    """Collect garbage and return free memory to the system: glibc keeps what was freed, and a daemon runs for months.

    Does nothing where the C library has no malloc_trim.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
