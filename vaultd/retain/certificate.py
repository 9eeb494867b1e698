"""The certificate of destroyed records: what was destroyed, where, by whom and why, in English and Chinese.

One file, the same in every language of the command line: it goes to the archive and to the auditor. It names the paths;
the ledger has only their salted digests, which this file lets one check.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from vaultd.names import display
from vaultd.retain.destroy import Destroyed
from vaultd.units import local, rfc3339

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Act:
    """What is certified. ``time`` in nanoseconds since 1970; ``failed``: targets where it is not done."""

    host: str
    vault: str
    paths: tuple[bytes, ...]
    reason: str
    who: str
    time: int
    done: Sequence[Destroyed]
    failed: Sequence[str] = ()


def new_salt() -> bytes:
    """The salt of one act."""
    return secrets.token_bytes(SALT_BYTES)


def digest_of(salt: bytes, path: bytes) -> str:
    """A path as the ledger has it: SHA-256 of the salt and the path's bytes, in hex."""
    return hashlib.sha256(salt + path).hexdigest()


def render(act: Act, salt: bytes) -> str:
    """The text."""
    lines = [
        "CERTIFICATE OF DESTROYED RECORDS / 记录销毁证明",
        "",
        f"Host / 主机: {act.host}",
        f"Vault / 保管库: {act.vault}",
        f"Time / 时间: {rfc3339(act.time)} ({local(act.time)})",
        f"Carried out by / 执行人: {act.who}",
        f"Reason / 事由: {act.reason}",
        "",
        "The following was taken out of all snapshots of this vault at the targets named below. Each remaining",
        "snapshot was listed afterwards and holds none of it.",
        "以下内容已从下列目标中该保管库的所有快照内移除；移除后逐一列出了剩余的每个快照，均不再含有这些内容。",
        "",
    ]
    lines += [f"  {display(path)}\n    sha256(salt + path) = {digest_of(salt, path)}" for path in act.paths]
    lines += ["", f"Salt / 盐值: {salt.hex()}", ""]
    for one in act.done:
        lines += [
            f"Target / 目标: {one.target}",
            f"  snapshots before / 此前快照数: {one.before}; held it / 含有该内容: {one.held}; "
            f"after / 此后: {one.after}",
            f"  different paths removed / 移除的路径数: {one.files}; bytes cleared away / 清除的字节数: {one.freed}",
            f"  check of the rest / 其余内容检查: {_checked(one)}",
        ]
    lines += [f"NOT done at target / 未完成的目标: {name}" for name in act.failed]
    lines += [
        "",
        "Not covered: content that another file of the repository has as well (it stays for that file); dumps of",
        "databases; older copies of vaultd's own state, and the ledger, which keep the names and digests of what was",
        "protected; copies that a server, a restore or a person has made elsewhere.",
        "不包括：仓库中其他文件也含有的相同内容（为该文件保留）；数据库转储；vaultd 自身状态的旧副本以及账本中",
        "保留的名称和摘要；服务器、恢复操作或人员在别处所作的副本。",
        "",
        "Signatures / 签字:  ____________________   ____________________   ____________________",
        "",
    ]
    return "\n".join(lines)


def _checked(one: Destroyed) -> str:
    if one.check is None:
        return "not made / 未进行"
    return "whole / 完整" if one.check.good else f"{one.check.faults} faults / 处错误"
