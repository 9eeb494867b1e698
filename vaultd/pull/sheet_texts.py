"""What the printed page says, in English and Chinese side by side: whoever holds it reads one of them.

A fixed text, like that of the recovery kit's sheets: it does not follow the language of whoever prints it.
"""

from __future__ import annotations

from vaultd.paper.both import Both
from vaultd.pull.model import Do

HEADS = (
    Both("", ""), Both("no", "序"), Both("bay", "槽位"), Both("label", "标签号"), Both("disk", "硬盘"),
    Both("holds, responsible", "内容、责任人"), Both("signed for", "签字"), Both("", ""),
)  # fmt: skip

CODE = "VAULTD-DISK:"
"""What stands before a disk's key in its QR code; a registered disk's code is its label, as on the label itself."""

SIGN = (
    Both("by", "移交人"), Both("to", "接收人"), Both("seal", "封条号"), Both("time", "时间"),
)  # fmt: skip
"""What is written by hand for each disk."""

SAFE = Both("all of it is safe off-site", "内容已全部异地保存")
GONE = Both("HAS LEFT", "已移交")
TITLE = Both("Pull list", "拔盘清单")
HOST, TIME = Both("host", "主机"), Both("disks as they were on", "硬盘状态时间")
AGE = Both("{age} before this was printed", "打印前 {age}")
SECRET = Both("highest classification on these disks: {text}", "硬盘内容最高密级：{text}")
HOW = Both(
    "Pull in this order. Read the serial number before you pull. Tick, name and time for each. Dark bays first: they "
    "carry a whole copy; grey ones must not be left behind.",
    "按序拔盘；拔盘前核对序列号；逐块打勾并签名、记时。黑色槽位先拔（构成完整副本），灰色槽位不得遗留。",
)
AFTER = Both("carried after disk {number}", "第 {number} 块后携带完整副本")
NO_PROMISE = Both("no carried copy can be promised", "不能保证携带完整副本")
COMPLETE = Both("COPY COMPLETE after disk {number}: {vaults}", "第 {number} 块后副本完整：{vaults}")
LEAK = Both("LEAK if left: {vaults}", "遗留即泄密：{vaults}")
PENDING = Both("NOT YET OFF-SITE: {count} files, {size}", "尚未异地：{count} 个文件，{size}")
USERS = Both("in use by {names}", "占用进程：{names}")
FURTHER = Both("further copy or rest", "其余副本或剩余内容")
NOTES = {
    "gone": Both("gone: look for it", "已消失，请查找"),
    "failing": Both("says that it is failing", "自检报告故障"),
    "unseen": Both("what is behind it cannot be seen", "其后的硬盘不可见"),
    "behind": Both("behind a RAID controller: take all of them", "在 RAID 控制器之后，须全部带走"),
    "double-slot": Both("two disks claim this bay: check the serial", "槽位号重复，核对序列号"),
    "slot-differs": Both("its bay is doubtful: check the serial", "槽位存疑，核对序列号"),
    "moved": Both("has moved since it was seen", "确认后已被移动"),
    "double-serial": Both("another disk says the same serial", "序列号重复"),
    "no-bay": Both("bay not known", "槽位未知"),
    "unknown": Both("on the map, not among the disks", "未在硬盘列表中"),
    "no-copy": Both("no set of disks is sure to carry a copy", "无可靠的完整副本组合"),
    "unsure": Both("not every layer could be seen", "部分层次不可见"),
    "remote": Both("part of it is on another machine", "部分在其他机器上"),
    "memory": Both("part of it is in memory", "部分在内存中，断电即失"),
    "hidden": Both("what lies below it cannot be seen", "底层不可见"),
    "tpm": Both("key in this machine's TPM: cannot be opened elsewhere", "密钥在本机 TPM 中，异机无法打开"),
    "unprotected": Both("nothing says what of it is off-site", "异地保护情况不明"),
    "no-map": Both("nobody knows on which disks it is", "所在硬盘不明"),
}
DOES = {Do.POWER_OFF: Both("switch the machine off first", "先关机再拔盘")}
"""What has no command."""

FOOT = Both("{number}, host {host}, page {page}", "第 {page} 页")
NONE = Both("No disk holds anything of a vault.", "没有硬盘存有保管库内容。")
