"""Every frame that a served sync socket took or sent, held to the AsyncAPI document it serves.

The server writes frames down as they pass (`writing_down`): one in the test's own process, or one
that is told by its environment (`Watched.environment`). What it could not read is none, and told
apart: of our own clients there is nothing of that kind.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from signaling.sync.connection import Connection
from signaling.sync.errors import Fault, SyncCode
from signaling.sync.registry import Registry
from tests.sync.site import site

DOCUMENT = "/api/asyncapi.json"
CLIENT, SERVER, UNREAD = "client", "server", "unread"


@contextlib.contextmanager
def writing_down(folder: Path | str) -> Iterator[None]:
    """In this process, meanwhile. A line for each frame: whose it is, and it."""
    place = Path(folder) / f"{os.getpid()}.frames"
    file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    right, also_right = Connection.send_bytes, Registry.dispatch

    def note(sender: str, frame: str) -> None:
        os.write(file, (f"{sender} {frame}".replace("\n", " ") + "\n").encode())

    def send_bytes(self: Connection, data: bytes) -> None:
        if not self.over:
            note(SERVER, data.decode())
        right(self, data)

    async def dispatch(self: Registry, connection: Connection, data: str) -> None:
        try:
            await also_right(self, connection, data)
        except Fault as fault:
            unread = fault.code in (SyncCode.BAD_SYNTAX, SyncCode.UNKNOWN_MESSAGE)
            note(UNREAD if unread else CLIENT, data)
            raise
        note(CLIENT, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "send_bytes", send_bytes)
        patch.setattr(Registry, "dispatch", dispatch)
        yield
    os.close(file)


class Documented:
    """The sync socket's frames, as an AsyncAPI document has them."""

    def __init__(self, document: Any) -> None:
        channel = document["channels"]["sync"]
        self._validators: dict[tuple[str, str], list[Any]] = {}
        for sender, action in ((CLIENT, "receive"), (SERVER, "send")):
            for message in document["operations"][f"{action}_sync"]["messages"]:
                key = channel["messages"][message["$ref"].rpartition("/")[2]]["$ref"]
                shown = document["components"]["messages"][key.rpartition("/")[2]]
                schema = {**shown["payload"], "components": document["components"]}
                made = jsonschema.Draft202012Validator(schema)
                self._validators.setdefault((sender, shown["name"]), []).append(made)

    def check(self, sender: str, frame: Any) -> None:
        """Raises AssertionError, or ValidationError, for one that is not as documented."""
        kinds = self._validators.get((sender, frame["type"]))
        assert kinds, f"the {sender} sends {frame['type']}, which is not documented"
        *others, last = kinds
        if not any(kind.is_valid(frame) for kind in others):
            last.validate(frame)
        if "packed" in frame:
            plain = json.loads(zlib.decompress(base64.b64decode(frame["packed"])))
            rest = {name: value for name, value in frame.items() if name != "packed"}
            self.check(sender, {**rest, "changes": plain})


class Watched:
    """What the servers wrote down below `folder`. `check` goes on where it was the last time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self._read: dict[Path, int] = {}

    @property
    def environment(self) -> Mapping[str, str]:
        """Of a server that writes its frames down here."""
        return {**site(), "SOTTO_TEST_FRAMES": str(self.folder)}

    def _lines(self) -> Iterator[str]:
        """New ones, whole."""
        for file in sorted(self.folder.glob("*.frames")):
            with file.open("rb") as opened:
                opened.seek(self._read.get(file, 0))
                text = opened.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read[file] = self._read.get(file, 0) + len(whole)
            yield from whole.decode().split("\n")[:-1]

    def check(self, documented: Documented) -> Counter[str]:
        """How many there were of each sender so far. Raises for what is not as documented."""
        for line in self._lines():
            sender, _, text = line.partition(" ")
            if sender != UNREAD:
                documented.check(sender, json.loads(text))
            self.counts[sender] += 1
        return self.counts

    def check_served(self, url: str, trust: ssl.SSLContext | None = None) -> Counter[str]:
        """As `check`, by the document that is served there. Blocks."""
        with urllib.request.urlopen(url + DOCUMENT, context=trust) as answer:
            counts = self.check(Documented(json.load(answer)))
        print(f"frames as documented: {dict(counts)}")
        return counts
