"""What a sheet says, in English and in Chinese side by side: whoever finds it reads one of them.

A fixed text, like that in a ledger's folder: it does not follow the language of whoever makes the kit.
"""

from __future__ import annotations

from vaultd.paper.both import Both

TITLE = Both("Recovery kit", "恢复工具包")
SHARE_OF = Both("share {number} of {total}", "第 {number} 份，共 {total} 份")
WHAT = Both(
    "Any {threshold} of the {total} sheets of this kit together bring back everything that the host {host} had "
    "protected off-site, on any new computer, even when the building and everybody's passwords are gone. Fewer than "
    "{threshold} say nothing.",
    "本工具包共 {total} 张，任意 {threshold} 张合在一起，即可在任何新电脑上恢复主机 {host} "
    "已异地保护的全部数据，即使机房和所有密码都已不存在。少于 {threshold} 张不泄露任何信息。",
)
KEEP = Both(
    "SECRET. Keep this sheet sealed, apart from the others, away from the host's building. Do not copy or photograph "
    "it. When it is lost, or somebody may have read it, say so at once: this kit is then revoked and another one made. "
    "Hand it over against a signature when you leave your office.",
    "秘密。请密封保管，与其他各份分开，存放在主机所在建筑之外。不得复印或拍照。一旦遗失或可能被他人看到，"
    "请立即报告：作废本工具包并重新制作。离任时须签字移交。",
)
FACTS = (
    Both("organisation", "单位"), Both("host", "主机"), Both("kit", "工具包编号"), Both("made on", "制作时间"),
    Both("valid until", "有效期至"), Both("custodian, date, signature", "保管人、日期、签字"),
)  # fmt: skip
NO_EXPIRY = Both("no end", "长期")
THE_SHARE = Both(
    "The share of this sheet. 3 digits at the end of a row check it.", "本份密钥分片。每行末尾三位为校验码。"
)
WHERE = Both("Where the data is", "数据存放位置")
TARGET = (
    Both("server", "服务器"), Both("account", "账户"), Both("repository's folder", "仓库目录"),
    Both("repository id", "仓库标识"), Both("host keys", "主机密钥指纹"),
    Both("the kit's restic key", "工具包的 restic 密钥"),
    Both("the kit's file there", "工具包文件位置"), Both("vaults", "保管库"),
)  # fmt: skip
TARGET_HEAD = Both("target {name}", "异地目标 {name}")
LEDGER = Both("Ledger", "存证账本")
ORIGIN, ROOT_KEY = Both("name", "名称"), Both("public root key", "公开根密钥")
WITH_VAULTD = Both("With vaultd", "使用 vaultd 恢复")
STEPS = (
    Both(
        "Get {threshold} custodians with their sheets to a new, clean computer with Debian or a like system, "
        "as root. Install vaultd and restic 0.18 or newer.",
        "请 {threshold} 位保管人携带各自的一份，到一台全新、干净的 Debian（或类似）电脑前，以 root "
        "身份操作。安装 vaultd 和 restic 0.18 或更新版本。",
    ),
    Both(
        "Get the kit's file {kit}.kit: from the server of a target (its administrator can send it, it is encrypted), "
        "or scan the codes on the last page of any sheet as pictures.",
        "取得工具包文件 {kit}.kit：可由异地目标服务器的管理员发送（文件已加密），"
        "也可将任意一份最后一页的二维码扫描成图片。",
    ),
    Both(
        "Run the command below. It asks for the shares one by one, to be typed row by row; a wrong digit is named. "
        "Instead of typing: --share-image PICTURE for each sheet's code.",
        "运行下面的命令。命令会依次询问各份分片，逐行输入；输错的行会立即指出。"
        "也可以不输入，对每份使用 --share-image 图片。",
    ),
    Both(
        "Everything is restored, the latest content, and checked. Then follow what the command says at its end.",
        "全部数据将恢复到最新内容并经过核对。之后请按命令最后的提示操作。",
    ),
)
COMMANDS = (
    "vaultd kit open --kit {kit}.kit --to /srv/restored",
    "vaultd kit open --kit-image page4.png --share-image 1.png --share-image 2.png ...",
)
WITHOUT = Both("Without vaultd: with ssss, Python, ssh and restic", "没有 vaultd 时：使用 ssss、Python、ssh 和 restic")
BARE = (
    Both("Install:", "安装："),
    Both(
        "The first half of the key, from rows 2 and 3 of each sheet, without the last 3 digits of a row, as "
        "NUMBER-DIGITS, for example {number}-0123... (32 digits); then the second half, from rows 4 and 5:",
        "密钥前半部分：取各份第 2、3 行（每行去掉末尾三位校验码），写成 “份号-数字”，例如 {number}-0123……"
        "（32 位）；再用第 4、5 行得到后半部分：",
    ),
    Both(
        "Open the kit with both halves, one after the other, as KEY (64 digits):",
        "将两部分依次相连作为 KEY（64 位），打开工具包：",
    ),
    Both(
        "kit.json then has for each target: password, identity (the private SSH key), host_keys. Put each into a file "
        "of its own (mode 0600), host_keys with [SERVER]:PORT before it. See the snapshots and restore one:",
        "kit.json 中有每个目标的 password（密码）、identity（SSH 私钥）和 host_keys（主机密钥）。分别存入文件"
        "（权限 0600），host_keys 前加 [服务器]:端口。查看快照并恢复：",
    ),
)
BARE_COMMANDS = (
    ("apt install ssss python3-cryptography restic openssh-client",),
    ("ssss-combine -t {threshold} -s 128 -D -x", "ssss-combine -t {threshold} -s 128 -D -x"),
    (
        "python3 - {kit}.kit KEY > kit.json <<'END'",
        "import base64, sys, zlib",
        "from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305",
        "head, box = open(sys.argv[1], 'rb').read().split(b'\\n')[:2]",
        "raw, key = base64.b64decode(box), bytes.fromhex(sys.argv[2])",
        "plain = ChaCha20Poly1305(key).decrypt(raw[:12], raw[12:], head)",
        "print(zlib.decompress(plain).decode())",
        "END",
    ),
    (
        "S='ssh USER@SERVER -p PORT -i identity -o UserKnownHostsFile=host_keys -o StrictHostKeyChecking=yes -s sftp'",
        'r() {{ restic --no-lock -r sftp:USER@SERVER:FOLDER -p password -o sftp.command="$S" "$@"; }}',
        "r snapshots --tag vaultd",
        "r restore ID --target /srv/restored",
    ),
)
BARE_NOTE = Both(
    "KEY is then in the shell's history: do this on a computer that is wiped afterwards.",
    "此时 KEY 会留在命令历史中：请在事后会被清除的电脑上操作。",
)
CODES = Both(
    "The kit's file {kit}.kit in codes: {count} of them make one file. Encrypted; the shares open it.",
    "工具包文件 {kit}.kit 的二维码，共 {count} 个，合成一个文件。内容已加密，须用分片打开。",
)
FOOT = Both("kit {kit}, sheet {number} of {total}, page {page}", "工具包 {kit}，第 {number}/{total} 份，第 {page} 页")
