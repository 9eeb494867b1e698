"""Everything that would stop vaultd from doing its job, each with its mend. Looks only; changes nothing.

``host`` looks at this machine, ``places`` at files and folders, ``offsite`` at the targets,
``ledger`` at the record, ``kit`` at the recovery kits, ``notices`` at who would send them, ``persons`` at who may
approve.
"""

from vaultd.doctor.finding import ADVICE, FAULT, FINE, Finding
from vaultd.doctor.host import check_host
from vaultd.doctor.kit import check_kits
from vaultd.doctor.ledger import check_ledger
from vaultd.doctor.notices import check_notices
from vaultd.doctor.offsite import check_target, check_targets
from vaultd.doctor.persons import check_persons
from vaultd.doctor.places import check_places

__all__ = [
    "ADVICE",
    "FAULT",
    "FINE",
    "Finding",
    "check_host",
    "check_kits",
    "check_ledger",
    "check_notices",
    "check_persons",
    "check_places",
    "check_target",
    "check_targets",
]
