"""A machine made of files: sysfs, mountinfo, swaps and the udev database, for the tests of what stands on a disk."""

from __future__ import annotations

from pathlib import Path


class FakeSys:
    """``/sys``, ``/proc`` and ``/run/udev`` below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lines: list[str] = []
        self.count = 0
        for folder in ("sys/class/block", "sys/devices", "proc/self", "run/udev/data"):
            (root / folder).mkdir(parents=True)
        self.swaps()
        self.mount("/", "0:1", parent=0, type="rootfs")

    def block(self, name: str, *below: str, dm: tuple[str, str] | None = None, parent: str = "", loop: str = "") -> str:
        """A device on others; ``dm``: name and uuid; ``parent``: it is a partition of that; returns its number."""
        self.count += 1
        number = f"4000:{self.count}"  # no real device has it
        folder = self.root / "sys/devices" / parent / name
        folder.mkdir(parents=True)
        (folder / "dev").write_text(f"{number}\n")
        (folder / "diskseq").write_text(f"{self.count}\n")
        (self.root / "sys/class/block" / name).symlink_to(folder)
        for one in ("holders", "slaves"):
            (folder / one).mkdir()
        if parent:
            (folder / "partition").write_text("1\n")
        if dm is not None:
            (folder / "dm").mkdir()
            (folder / "dm/name").write_text(f"{dm[0]}\n")
            (folder / "dm/uuid").write_text(f"{dm[1]}\n")
        if name.startswith("md"):
            (folder / "md").mkdir()
        if loop:
            (folder / "loop").mkdir()
            (folder / "loop/backing_file").write_text(f"{loop}\n")
        if not below and not parent and dm is None and not loop:
            (folder / "device").mkdir()
            (folder / "device/delete").touch()
        for one in below:
            (folder / "slaves" / one).touch()
            (self.root / "sys/class/block" / one / "holders" / name).touch()
        return number

    def mount(
        self, path: str, number: str, *, parent: int = 1, type: str = "ext4", source: str = "none", options: str = "rw"
    ) -> int:
        """A line of mountinfo; returns its number."""
        found = len(self.lines) + 1
        shown = path.replace(" ", "\\040")
        self.lines.append(f"{found} {parent} {number} / {shown} rw - {type} {source} {options}\n")
        (self.root / "proc/self/mountinfo").write_text("".join(self.lines))
        return found

    def swaps(self, *paths: str) -> None:
        rows = [f"{path} file 1024 0 -2\n" for path in paths]
        (self.root / "proc/swaps").write_text("Filename Type Size Used Priority\n" + "".join(rows))

    def udev(self, number: str, **values: str) -> None:
        rows = [f"E:{name}={value}\n" for name, value in values.items()]
        (self.root / "run/udev/data" / f"b{number}").write_text("".join(rows))
