"""``python -m tests.bench``: measure rows, print the table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import (
    burst,
    change,
    disks,
    evacuation,
    first,
    large,
    ledger,
    line,
    media,
    pull,
    restore,
    steady,
    verify,
)
from tests.bench.bench import Bench
from tests.bench.rows import LEAST_RUNS, Figures, Row, as_json, cells, table

ROWS: tuple[Row, ...] = (
    *first.ROWS, *change.ROWS, *steady.ROWS, *burst.ROWS, *large.ROWS, *line.ROWS, *restore.ROWS,
    *verify.ROWS, *ledger.ROWS, *disks.ROWS, *media.ROWS, *pull.ROWS,
    *evacuation.ROWS,
)  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("tests.bench", description="ours against plain restic, alternating")
    parser.add_argument("--list", action="store_true", help="the rows, and nothing else")
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="only this row (may be repeated)")
    parser.add_argument("--runs", type=int, default=LEAST_RUNS, metavar="N", help="runs of each side (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: a quick try; never called met")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, after every row")
    parser.add_argument("--folder", type=Path, help="work there instead of in a temporary folder")
    parser.add_argument("--keep", action="store_true", help="leave the large trees in --folder for the next time")
    parser.add_argument("--cold", action="store_true", help="first protections from a cold page cache (root only)")
    options = parser.parse_args()
    unknown = sorted(set(options.only) - {row.name for row in ROWS})
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are: {', '.join(row.name for row in ROWS)}")
    if options.keep and options.folder is None:
        parser.error("--keep needs --folder")
    if options.runs < 1 or not 0 < options.scale <= 1:
        parser.error("--runs is at least 1, --scale more than 0 and at most 1")
    return options


def machine() -> str:
    """Where this was measured, in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()},"
        f" Python {platform.python_version()}, load before {load}"
    )


def main() -> int:
    """Measure, print, and leave nothing behind."""
    options = _options()
    if options.list:
        for row in ROWS:
            print(f"{row.name:16}{row.what}")
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell starts what runs beside it with that ignored
        signal.signal(number, signal.default_int_handler)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="vaultd-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(folder.resolve(), options.scale, options.runs, keep=options.keep, cold=options.cold)
    where, measured = machine() + (", cold" if options.cold else ""), list[tuple[Row, Figures]]()
    print(where)
    try:
        for row in ROWS:
            if options.only and row.name not in options.only:
                continue
            bench.tell(row.what)
            try:
                figures = row.run(bench)
            except (RuntimeError, AssertionError) as error:
                figures = Figures([], skipped=f"failed: {error}")
                bench.tell(figures.skipped)
            measured.append((row, figures))
            print("  ".join(cells(row, figures, options.scale)), flush=True)
            if options.json is not None:
                rows = [as_json(one, found, options.scale) for one, found in measured]
                options.json.write_text(json.dumps({"machine": where, "rows": rows}, indent=1) + "\n")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        bench.close()
        if measured:
            print(f"\n{table(measured, options.scale)}")
    failed = any(figures.skipped.startswith("failed") for _row, figures in measured)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
