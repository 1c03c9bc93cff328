"""An optional look into a breach list on line, by the first 20 bits of a hash (k-anonymity).

Off unless the operator names a service (`accounts.breach_list_url`); the list that ships with the
server is asked first in any case. The service learns five hexadecimal digits of a SHA-1 and, with
padding, not even how many entries came back. A service that is away lets nobody wait for long and
keeps nobody out.
"""

from __future__ import annotations

import logging
import re
from hashlib import sha1

from signaling.egress import Egress, EgressFailed, EgressRefused

log = logging.getLogger(__name__)

PREFIX = 5
SECONDS = 3.0
MOST = 262_144  # a padded answer has some 1,000 lines of 40 bytes
LINE = re.compile(r"([0-9A-F]{35}):([0-9]{1,12})")


class Breaches:
    """Speaks the range protocol of Have I Been Pwned's Pwned Passwords, version 3."""

    def __init__(self, url: str, egress: Egress) -> None:
        self._url = url
        self._egress = egress

    async def has(self, password: str) -> bool:
        """`password` is normalised. Never raises."""
        digest = sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        try:
            answer = await self._egress.fetch(
                "GET",
                self._url + digest[:PREFIX],
                headers={"Add-Padding": "true"},
                most=MOST,
                seconds=SECONDS,
            )
        except (EgressFailed, EgressRefused) as error:
            log.warning("the breach list was not asked: %s", type(error).__name__)
            return False
        if answer.status != 200:
            log.warning("the breach list answered %d", answer.status)
            return False
        return count(answer.body.decode("ascii", "replace"), digest[PREFIX:]) > 0


def count(text: str, suffix: str) -> int:
    """How often it was seen; padding has a count of 0. Pure."""
    for line in text.splitlines():
        found = LINE.fullmatch(line.strip())
        if found is not None and found[1] == suffix:
            return int(found[2])
    return 0
