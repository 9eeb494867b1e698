"""How the golden kit was made, once. Its keys open nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from vaultd.kit import seal
from vaultd.kit.content import Content, KitLedger, KitTarget, KitVault

KEY = bytes(range(32))
CONTENT = Content(
    kit="1f2e3d4c", host="ward", organisation="市第一医院病案室", created="2026-11-28T02:00:00Z",
    expires=date(2028, 12, 31),
    targets=[
        KitTarget(
            name="east", host="backup.example.org", port=2222, user="vaultd", path="archive",
            host_keys=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINznJTK7VzHgu2DTmzr7Kr75OG1iHLwsOpGoN6H7Y9r+"],
            repository="ab" * 32, key="cd" * 32, password="aaaaa-bbbbb-ccccc-ddddd-eeeee-fffff",
            identity="-----BEGIN OPENSSH PRIVATE KEY-----\nnot a key\n-----END OPENSSH PRIVATE KEY-----\n",
        )
    ],
    vaults=[KitVault(name="patients", path=Path("/srv/病案"), classification="secret", targets=["east"])],
    ledger=KitLedger(origin="ward/vaultd/0a0b0c0d", root_key="ward/vaultd/0a0b0c0d/root+c965b2f8+ATKOUVzf"),
)  # fmt: skip

if __name__ == "__main__":
    made = seal.seal(CONTENT, KEY, 3, 5, nonce=bytes)
    Path(__file__).with_name("1f2e3d4c.kit").write_bytes(made.encoded)
