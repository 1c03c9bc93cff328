"""How people are whom the account shares a room with, as far as they show it: in memory only.

    AWAY --begin--> BOUND --first download--> SYNCED --socket gone, error--> AWAY

The partition `presence` has no log: its state comes with the first download and replaces all that
was here, then `presence` frames change it. While this is not SYNCED, `people` is what was heard
last. No sockets of its own; driven by `Client`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sotto_client.replica import Frame, Phase
from sotto_client.verdicts import Fate, fate_of

PATH = "presence"
OFFLINE = "offline"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: `online`, `away`, `busy` or `offline`, of oneself also `invisible`; times as the
    server writes them. What is not shown is empty.
    """

    account: str
    state: str = OFFLINE
    text: str = ""
    emoji: str = ""
    until: str | None = None
    seen_at: str | None = None


Changed = Callable[[list[Person]], None]


class Presence:
    """See the module. `changed` hear of those who are another way than before."""

    path = PATH

    def __init__(self, number: Callable[[Presence], int]) -> None:
        self.people: dict[str, Person] = {}
        self.phase = Phase.AWAY
        self.session = 0
        self.changed: list[Changed] = []
        self._number = number

    def of(self, account: str) -> Person:
        """Of one who was never named as of one who is offline."""
        return self.people.get(account, Person(account=account))

    # The session

    def begin(self) -> list[Frame]:
        self.session = self._number(self)
        self.phase = Phase.BOUND
        bind = {"type": "bind", "session": self.session, "path": PATH}
        return [{**bind, "need_client_file_ident": True}]

    def gone(self) -> None:
        self.phase = Phase.AWAY

    def hear(self, frame: Frame) -> list[Frame]:
        kind = frame["type"]
        if kind == "ident":
            names = ("session", "client_file_ident", "client_file_ident_salt")
            return [{"type": "ident", **{name: frame[name] for name in names}}]
        if kind == "download" and "state" in frame:
            self.phase = Phase.SYNCED
            self._told(frame["state"]["people"], whole=True)
        elif kind == "presence":
            self._told(frame["people"], whole=False)
        elif kind == "error":
            return self._error(frame)
        return []

    def _error(self, frame: Frame) -> list[Frame]:
        fate = fate_of(frame)
        if fate in (Fate.WARN, Fate.IGNORE):
            return []
        self.phase = Phase.AWAY
        return self.begin() if fate in (Fate.RENAME, Fate.BEGIN_ANEW) else []

    def _told(self, people: list[Frame], *, whole: bool) -> None:
        told = {one["account"]: msgspec.convert(one, Person) for one in people}
        gone = self.people.keys() - told.keys() if whole else set()
        now = told | {account: Person(account=account) for account in gone}
        news = [one for account, one in now.items() if one != self.of(account)]
        self.people = told if whole else {**self.people, **told}
        for listener in list(self.changed) if news else ():
            listener(news)
