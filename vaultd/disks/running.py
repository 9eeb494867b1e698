"""Run a program that may never end: bounded in time and output, and left behind when not even a kill ends it.

A program that waits for a dying disk is in the kernel (state D) and cannot be killed; waiting for its end would hang
as it does.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

OUTPUT = 1 << 24
"""Bytes of a program's output that are kept; one that prints more is ended."""

_left = list[subprocess.Popen[bytes]]()
"""Programs that no kill has ended yet; kept here so that they are reaped when they do."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How it went. ``code``: its exit code, negative for a signal, None when it did not end in time. ``stuck``: it
    could not be ended at all."""

    code: int | None
    out: bytes
    err: bytes
    stuck: bool = False


def run(
    words: Sequence[str], seconds: float, *, stdin: bytes = b"", environment: dict[str, str] | None = None
) -> Ended:
    """Run a program without a shell, in a process group of its own. Raises OSError when it cannot be started."""
    _reap()
    process = subprocess.Popen(
        list(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        start_new_session=True, cwd="/", close_fds=True,
    )  # fmt: skip
    assert process.stdin and process.stdout and process.stderr  # noqa: S101  # all three are pipes
    deadline = time.monotonic() + seconds
    try:
        out, err, whole = _talk(process, stdin, deadline)
        if whole and _wait(process, max(0.0, deadline - time.monotonic())):
            return Ended(process.returncode, out, err)
        _kill(process)
        ended = _wait(process, 0.5)
        if not ended:
            _left.append(process)
        return Ended(None, out, err, stuck=not ended)
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def _talk(process: subprocess.Popen[bytes], stdin: bytes, deadline: float) -> tuple[bytes, bytes, bool]:
    """Give it its input and take what it prints, until it closes its outputs, prints too much, or the time is over."""
    assert process.stdin and process.stdout and process.stderr  # noqa: S101
    kept = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    rest = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        for number in kept:
            os.set_blocking(number, False)
            selector.register(number, selectors.EVENT_READ)
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin.fileno(), selectors.EVENT_WRITE)
        opened = set(kept)
        while opened and (room := deadline - time.monotonic()) > 0:
            for key, _events in selector.select(room):
                number = key.fd
                if number in kept:
                    part = os.read(number, 1 << 16)
                    kept[number] += part
                    if not part:
                        selector.unregister(number)
                        opened.discard(number)
                    elif len(kept[number]) > OUTPUT:
                        return bytes(kept[process.stdout.fileno()]), bytes(kept[process.stderr.fileno()]), False
                    continue
                rest = _write(number, rest)
                if not rest:
                    selector.unregister(number)
                    process.stdin.close()
        return bytes(kept[process.stdout.fileno()]), bytes(kept[process.stderr.fileno()]), not opened


def _write(number: int, rest: memoryview) -> memoryview:
    try:
        return rest[os.write(number, rest[: 1 << 16]) :] if rest else rest
    except BrokenPipeError:
        return rest[:0]  # it does not want its input


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.killpg(process.pid, signal.SIGKILL)


def _reap() -> None:
    for process in list(_left):
        if process.poll() is not None:
            _left.remove(process)
