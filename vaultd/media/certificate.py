"""The certificate of destruction as PDF, in English and Chinese: the fields of NIST SP 800-88 Rev. 1, section 4.8, and
approvals, list number, witnesses, and what lets one check it against the ledger.

Drawn with the shapes of the recovery kit's sheets (fpdf2), not by ``vaultd report``'s templates: it is a form in both
languages at once, it must come out of a host that has no libraries for reports, and it is made once and kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from vaultd.config.model import Config
from vaultd.media import people, record, words
from vaultd.media.destruction import Case
from vaultd.paper.both import Both
from vaultd.paper.page import Paper, lacking
from vaultd.store.mediarows import Medium, SignatureRow
from vaultd.units import local

TITLE = Both("Certificate of media destruction", "涉密载体销毁证明")
FOOT = Both("list {number}, page {page}", "清单 {number}，第 {page} 页")
SANITIZATION = {
    "clear": Both("clear", "清除"), "purge": Both("purge", "净化"), "destroy": Both("destroy", "物理销毁"),
}  # fmt: skip
WHAT = Both(
    "The media on this list were sanitized as stated below. vaultd has recorded it and has erased nothing itself. The "
    "format follows NIST SP 800-88 Rev. 1, section 4.8.",
    "本清单所列载体已按下述方式处理。vaultd 仅作记录，不执行擦除。内容依据 NIST SP 800-88 Rev. 1 第 4.8 节。",
)
GENERAL = (
    Both("list number", "清单编号"), Both("organisation", "单位"), Both("host of the register", "登记主机"),
    Both("reason", "销毁事由"), Both("sanitization", "处理类别"), Both("method used", "销毁方式"),
    Both("tool and version", "工具及版本"), Both("verification method", "验证方法"),
    Both("place", "销毁地点"), Both("time and its source", "销毁时间及时间来源"),
    Both("destination afterwards", "处理后去向"), Both("is the data backed up, where", "数据备份情况"),
    Both("keep this certificate until", "本证明保存至"),
)  # fmt: skip
PERSON = (Both("name, position, contact", "姓名、职务、联系方式"), Both("signature, date", "签字、日期"))
ROLES = {
    people.REQUESTER: Both("requested by", "申请人"), people.EXECUTOR: Both("executed by", "销毁执行人"),
    people.WITNESS: Both("witness", "监销人"), people.VERIFIER: Both("verified by", "验证人"),
}  # fmt: skip
APPROVAL = Both("approval, level {level}", "第 {level} 级审批")
MEDIUM = (
    Both("manufacturer", "制造商"), Both("model", "型号"), Both("serial number", "序列号"), Both("WWN", "全球唯一名"),
    Both("property number, copy", "载体编号、份号"), Both("media type, capacity", "载体类型、容量"),
    Both("source: custodian, vaults", "来源：责任人、保管库"),
    Both("classification before, period", "处理前密级、保密期限"), Both("encryption", "加密方式"),
    Both("salt and digest of the record", "记录的盐值与摘要"),
)  # fmt: skip
SIGNED = Both("SSH signature", "SSH 签名")
PAPER = Both("on paper, sheet", "纸质签字，编号")
CHECK = Both(
    "To check it: the ledger has the entries media-destruction of this list; its records are SHA-256 of the salt and "
    "the record, as docs/ledger.md says; each signature is an entry media-signature.",
    "核对方法：账本中有本清单的 media-destruction 条目，其 records 为盐值与记录的 SHA-256，格式见 docs/ledger.md；"
    "每个签名为一条 media-signature 条目。",
)


def draw(config: Config, case: Case, keep_until: str) -> tuple[bytes, str]:
    """The PDF, and the characters that the font lacks. Raises PaperError when there is no font."""
    foot = FOOT.format(number=case.row.number, page="{page}")
    paper = Paper((foot.en, foot.zh))
    paper.pdf.set_title(f"{TITLE.en} {case.row.number}")
    rows = _rows(config, case, keep_until)
    people_rows = [_person(config, case, row) for row in (*case.signatures, *sorted(case.approvals))]
    media_rows = [_medium(medium) for medium in case.media]
    paper.page()
    paper.title(TITLE, 19)
    paper.text(WHAT, 9)
    paper.facts(list(zip(GENERAL, rows, strict=True)))
    for title, values in people_rows:
        _keep_together(paper, 36)
        paper.title(title, 10)
        paper.facts(list(zip(PERSON, values, strict=True)))
    for number, values in enumerate(media_rows, 1):
        _keep_together(paper, 110)
        paper.title(Both(f"Medium {number} of {len(media_rows)}", f"载体 {number} / {len(media_rows)}"), 11)
        paper.facts(list(zip(MEDIUM, values, strict=True)))
    paper.text(CHECK, 8.5)
    texts = [
        *rows,
        *(text for _title, values in people_rows for text in values),
        *(t for one in media_rows for t in one),
    ]
    return paper.encoded(), lacking(texts)


def _keep_together(paper: Paper, room: float) -> None:
    """Begin a new page where less than ``room`` millimetres are left."""
    if paper.pdf.get_y() + room > 277:
        paper.page()


def _rows(config: Config, case: Case, keep_until: str) -> Sequence[str]:
    done = case.execution or {}
    kind = SANITIZATION[done["sanitization"]]
    return (
        case.row.number, config.media.organisation or "-", done["host"], done["reason"], f"{kind.en}  {kind.zh}",
        done["method"], " ".join(filter(None, (done["tool"], done.get("tool_version", "")))), done["verification"],
        done["place"], f"{done['time']} ({local(record.time_of(done))}), {done['time_source']}", done["destination"],
        done.get("backup", "-"), keep_until,
    )  # fmt: skip


def _person(config: Config, case: Case, row: SignatureRow) -> tuple[Both, Sequence[str]]:
    title = ROLES.get(row.role) or APPROVAL.format(level=case.level_of(row))
    found = config.person_named(row.person)
    how, by = (PAPER, row.value) if row.state == people.PAPER else (SIGNED, row.key)
    parts = [row.person, *((found.role, found.telephone) if found is not None else ())]
    when = "" if row.at is None else f"\n{local(row.at)}"
    return title, ("   ".join(part for part in parts if part), f"{how.zh} {how.en} {by}{when}")


def _medium(medium: Medium) -> Sequence[str]:
    secret = words.CLASSIFICATIONS[medium.classification]
    period = " ".join(filter(None, (medium.period, medium.condition)))
    return (
        medium.make or "-", medium.model or "-", medium.serial or "-", medium.wwn or "-",
        " ".join(filter(None, (medium.label, medium.copy))),
        " ".join(filter(None, (medium.type, words.capacity_text(medium.capacity)))) or "-",
        " ".join(filter(None, (medium.custodian, medium.vaults))), f"{secret.en} {secret.zh}  {period}",
        medium.encryption or "-", f"{medium.salt.hex()}\n{record.digest(medium).hex()}",
    )  # fmt: skip
