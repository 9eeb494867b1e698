"""What a scheme of label numbers is made of; no pydantic here, since `vaultd media show` has half a second."""

from __future__ import annotations

import re

PART = re.compile(r"\{(year|number)(?::(\d))?\}", re.ASCII)
"""``{year}``, ``{number:5}``."""
LONGEST_LABEL = 40
