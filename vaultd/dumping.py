"""Stands between restic and a dump command: hashes and counts what passes, and passes the exit status on.

``python -I dumping.py RESULT SILENCE COMMAND ARG...`` runs the command without a shell, copies its standard output to
ours, and writes ``{"bytes": ..., "sha256": ..., "exit": ...}`` to the file RESULT at the end. A command that fails, is
killed, cannot be started, prints nothing at all or nothing for SILENCE seconds (then it is killed) makes this end with
another code than 0, so that restic makes no snapshot of it. There is no RESULT when restic went before the command had
ended.

Only the standard library is imported: it runs as restic's child, in restic's environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import subprocess
import sys

EMPTY = 65
UNFINISHED = -1
"""What RESULT says while the command runs, and for ever when this is killed."""

LINE_BROKE = 66
SILENT = 67
NOT_STARTED = 127
BLOCK = 1 << 20


def main(arguments: list[str]) -> int:
    """Run the command; the exit code for restic."""
    result_file, silence, *command = arguments
    digest, count = hashlib.sha256(), 0
    _finish(result_file, 0, digest.hexdigest(), UNFINISHED)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # no shell
    except OSError as error:
        print(f"vaultd: cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        return _finish(result_file, 0, digest.hexdigest(), NOT_STARTED)
    with child:
        source = child.stdout.fileno() if child.stdout is not None else 0
        try:
            while True:
                if not select.select([source], [], [], float(silence))[0]:
                    print(f"vaultd: the command has printed nothing for {silence} s: killed", file=sys.stderr)
                    child.kill()
                    return _finish(result_file, count, digest.hexdigest(), SILENT)
                if not (block := os.read(source, BLOCK)):
                    break
                digest.update(block)
                count += len(block)
                view = memoryview(block)
                while view:
                    view = view[os.write(1, view) :]
        except BrokenPipeError:  # restic is gone: that is no failure of the command
            child.kill()
            os.unlink(result_file)
            return LINE_BROKE
    code = child.returncode if child.returncode >= 0 else 128 - child.returncode
    if code == 0 and count == 0:
        print("vaultd: the command printed nothing", file=sys.stderr)
        code = EMPTY
    return _finish(result_file, count, digest.hexdigest(), code)


def _finish(result_file: str, count: int, digest: str, code: int) -> int:
    handle = os.open(result_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(handle, "w", encoding="ascii") as stream:
        json.dump({"bytes": count, "sha256": digest, "exit": code}, stream)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
