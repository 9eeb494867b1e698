"""What tests of the recovery kit share: a host with a kit, its shares as custodians have them, and a new machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import warm
from tests.site import Site
from vaultd.kit import codes, spelling
from vaultd.kit.shares import Share

COMMAND = [sys.executable, "-m", "vaultd"]


def vaultd(*args: object, code: int | None = 0, typed: str = "", config: Path | None = None) -> str:
    """Run vaultd; its standard output. ``code`` None: any."""
    command = [*(["--config", str(config)] if config else []), *(str(one) for one in args)]
    done = warm.run(command, input=typed.encode())
    out, error = done.stdout.decode(), done.stderr.decode()
    assert code is None or done.returncode == code, f"{done.returncode}\n{out}\n{error}"
    vaultd.stderr = error  # type: ignore[attr-defined]
    return out


def said() -> str:
    """What the last command said on stderr."""
    return str(vaultd.stderr)  # type: ignore[attr-defined]


class Kit:
    """A kit that ``vaultd kit create`` has made for a site, and its sheets."""

    def __init__(self, site: Site, out: Path, *options: object, code: int = 0) -> None:
        told = json.loads(vaultd("--json", "kit", "create", "--out", out, *options, config=site.file, code=code))
        self.out, self.told = out, told["kit"]
        self.id: str = self.told["id"]
        self.file = out / f"{self.id}.kit"
        self.shares: dict[int, Share] = {}

    def page(self, number: int, page: int) -> Path:
        """A page of a custodian's sheet, as a scanner gives it."""
        (pdf,) = self.out.glob(f"*-share-{number}-of-*.pdf")
        prefix = self.out / f"page-{number}-{page}"
        wanted = ["-f", str(page), "-l", str(page), "-singlefile"]
        subprocess.run(["pdftoppm", "-r", "150", "-png", *wanted, pdf, prefix], check=True)
        return prefix.with_suffix(".png")

    def share(self, number: int) -> Share:
        """A custodian's share, read from the sheet's code."""
        if number not in self.shares:
            (self.shares[number],) = codes.shares_in(codes.read(self.page(number, 1)))
        return self.shares[number]

    def share_file(self, number: int) -> Path:
        """A file with the rows of a share, as somebody types it."""
        path = self.out / f"typed-{number}"
        path.write_text("\n".join(spelling.rows(self.share(number))) + "\n")
        return path

    def options(self, *numbers: int) -> list[object]:
        """The options that give the kit and these shares."""
        return ["--kit", self.file, *(word for one in numbers for word in ("--share-file", self.share_file(one)))]


def let_in(site: Site, told: dict[str, Any]) -> None:
    """What the administrators of the servers do: the kit's line goes into authorized_keys."""
    for target in told["targets"]:
        file = site.servers[target["name"]].files / "authorized_keys"
        with file.open("a") as stream:
            stream.write(target["authorized_keys"] + "\n")


def destroy(site: Site) -> None:
    """The host is gone: its state, configuration, keys, and every vault. The servers are elsewhere."""
    for vault in site.vaults.values():
        shutil.rmtree(vault["path"])
    shutil.rmtree(site.state)
    for target in site.targets.values():
        Path(target["password_file"]).unlink()
        Path(target["known_hosts"]).unlink()
        site.servers[target["name"]].identity.unlink()
    site.file.unlink()
