"""Trees of files for the benchmark, made quickly and always the same."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

BLOCK = 8 << 20


def large_files(folder: Path, count: int, total: int) -> None:
    """``count`` files of random bytes, ``total`` bytes together."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        with open(folder / f"disk-{index}.img", "wb") as stream:
            left = total // count
            while left > 0:
                left -= stream.write(os.urandom(min(left, BLOCK)))


def folder_of(index: int, wide: int) -> str:
    """The path of a tree's folder: two levels, ``wide`` of them in each upper one."""
    return f"{index // wide:03d}/{index % wide:03d}"


def small_files(root: Path, folders: int, each: int, smallest: int, largest: int, wide: int = 100) -> None:
    """``folders`` folders of ``each`` files of random bytes, between two sizes."""
    dice = random.Random(folders * each)
    for index in range(folders):
        folder = os.path.join(root, folder_of(index, wide))
        os.makedirs(folder, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        for number in range(each):
            put(f"f{number:03d}", dice.randbytes(dice.randint(smallest, largest)), handle)
        os.close(handle)


def put(name: str, content: bytes, folder: int | None = None) -> None:
    """Write a whole file."""
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=folder)
    os.write(handle, content)
    os.close(handle)


def paths(root: Path, folders: int, each: int, wide: int = 100) -> Iterator[str]:
    """The files of ``small_files``, in no helpful order, each once."""
    for index in random.Random(7).sample(range(folders * each), folders * each):
        yield os.path.join(root, folder_of(index // each, wide), f"f{index % each:03d}")


def change(files: Sequence[str]) -> int:
    """Rewrite files; the time of the last close, in nanoseconds since 1970."""
    for path in files:
        put(path, os.urandom(200))
    return time.time_ns()


def deep_burst(root: Path, files: int, each: int = 50, depth: int = 5) -> int:
    """Many new small files in new, deep folders; the time of the last close, in nanoseconds since 1970."""
    made = 0
    for index in range(-(-files // each)):
        folder = root.joinpath(*(f"d{index % (4 + level)}" for level in range(depth - 1)), f"leaf-{index}")
        folder.mkdir(parents=True)
        for number in range(min(each, files - made)):
            put(os.path.join(folder, f"n{number}"), b"%d of the burst, in leaf %d\n" % (number, index))
            made += 1
    return time.time_ns()


def warm(root: Path) -> None:
    """Read everything once, so that no run pays for a cold cache, and write back what is dirty."""
    for folder, _folders, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb") as stream:
                while stream.read(BLOCK):
                    pass
    os.sync()
