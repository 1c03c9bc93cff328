"""Plays a transcript: a JSON list of steps between clients, the server and the (fake) media server.

    {"join": "alice", "mode": "dual", ...}      somebody joins; `grant` and `protocol` may be given
    {"alice": {"ping": 1}}                      alice sends this SignalRequest
    {"expect": "alice", "case": {...}}          the next such message contains this
    {"never": "alice", "case": "leave"}         no such message came
    {"media": "alice", "do": "publish"}         the media server: connect, publish, an event
    {"advance": 5}  {"lose": "alice"}  {"resume": "alice"}  {"api": "move", ...}

A string "$name" is bound where it first meets a value and compared afterwards; "*" matches
anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from livekit.protocol import models, rtc
from livekit.protocol import room as room_pb

from mediaserver.api import Channel, Mode
from signaling.rtc import moderation
from tests.signaling.rtc.fakes import Client, World, claims, grant

FOLDER = Path(__file__).parent / "transcripts"


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())
    return steps


class Player:
    """Runs one transcript and remembers which cases it sent and expected."""

    def __init__(self) -> None:
        self.world = World()
        self.clients: dict[str, Client] = {}
        self.bound: dict[str, Any] = {}
        self.sent: set[str] = set()
        self.expected: set[str] = set()
        self._read: dict[str, int] = {}

    def play(self, steps: list[dict[str, Any]]) -> None:
        for number, step in enumerate(steps):
            try:
                self._step(step)
            except AssertionError as error:
                raise AssertionError(f"step {number} {step}: {error}") from error

    def _step(self, step: dict[str, Any]) -> None:
        verb = next(iter(step))
        action = getattr(self, f"_do_{verb}", None)
        if action is not None:
            action(self._fill(step))
        else:
            self._send(verb, self._fill(step[verb]))

    def _send(self, name: str, request: dict[str, Any]) -> None:
        message = json_format.ParseDict(request, rtc.SignalRequest())
        case = message.WhichOneof("message")
        assert case is not None
        self.sent.add(case)
        self.clients[name].ask(**{case: getattr(message, case)})

    def _do_join(self, step: dict[str, Any]) -> None:
        name = step["join"]
        room = step.get("room", "r")
        client = self.world.join(
            name,
            mode=Mode(step.get("mode", "single")),
            protocol=step.get("protocol", 17),
            room=room,
            connect=step.get("connect", True),
            auto_subscribe=step.get("auto_subscribe", True),
            auto_subscribe_data=step.get("auto_subscribe_data", True),
            claim=claims(name, video=grant(room=room, **step.get("grant", {}))),
        )
        self.clients[name] = client
        self._read[name] = 0

    def _do_expect(self, step: dict[str, Any]) -> None:
        name, wanted = step["expect"], dict(step["case"])
        case = next(iter(wanted))
        self.expected.add(case)
        responses = self.clients[name].responses
        reason = f"no {case} among {self.clients[name].cases()[self._read[name] :]}"
        for at in range(self._read[name], len(responses)):
            if responses[at].WhichOneof("message") != case:
                continue
            actual = json_format.MessageToDict(responses[at], preserving_proto_field_name=True)
            before = dict(self.bound)
            try:
                self._match(wanted[case], actual.get(case), case)
            except AssertionError as error:
                self.bound, reason = before, str(error)
                continue
            self._read[name] = at + 1
            return
        raise AssertionError(reason)

    def _do_never(self, step: dict[str, Any]) -> None:
        cases = self.clients[step["never"]].cases()
        assert step["case"] not in cases, cases

    def _do_media(self, step: dict[str, Any]) -> None:
        media = self.clients[step["media"]].media
        do = step["do"]
        if do == "connect":
            media.connect()
        elif do == "publish":
            media.publish_declared()
        elif do == "data":
            packet = json_format.ParseDict(step["packet"], models.DataPacket())
            media.listener.on_data(Channel(step["channel"]), packet.SerializeToString())
        else:
            getattr(media.listener, do)(*step["with"])

    def _do_call(self, step: dict[str, Any]) -> None:
        call = next(iter(self.world.media.calls.values()))
        getattr(call.listener, step["call"])(step["with"])

    def _do_advance(self, step: dict[str, Any]) -> None:
        self.world.clock.advance(step["advance"])

    def _do_lose(self, step: dict[str, Any]) -> None:
        self.clients[step["lose"]].lose_socket()

    def _do_resume(self, step: dict[str, Any]) -> None:
        name = step["resume"]
        self.clients[name] = self.world.resume(self.clients[name])
        self._read[name] = 0

    def _do_api(self, step: dict[str, Any]) -> None:
        participant = self.clients[step["of"]].me
        if step["api"] == "mute":
            moderation.mute_by_admin(participant, step["sid"], True)
        elif step["api"] == "room_metadata":
            participant.room.set_metadata(step["metadata"])
        elif step["api"] == "permission":
            permission = json_format.ParseDict(step["permission"], models.ParticipantPermission())
            moderation.set_permission(participant, permission)
        elif step["api"] == "move":
            room = self.world.rooms.create(room_pb.CreateRoomRequest(name=step["to"]))
            moderation.move(participant, room)
        else:
            raise AssertionError(f"no such step: {step}")

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str) and value in self.bound:
            return self.bound[value]
        if isinstance(value, dict):
            return {key: self._fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fill(item) for item in value]
        return value

    def _match(self, wanted: Any, actual: Any, path: str) -> None:
        if wanted == "*":
            assert actual is not None, f"{path} is missing"
        elif isinstance(wanted, str) and wanted.startswith("$"):
            assert actual is not None, f"{path} is missing"
            assert self.bound.setdefault(wanted, actual) == actual, f"{path}: {actual}"
        elif isinstance(wanted, dict):
            assert isinstance(actual, dict), f"{path}: {actual}"
            for key, item in wanted.items():
                self._match(item, actual.get(key), f"{path}.{key}")
        elif isinstance(wanted, list):
            assert isinstance(actual, list), f"{path}: {actual}"
            assert len(wanted) == len(actual), f"{path}: {actual}"
            for index, (one, other) in enumerate(zip(wanted, actual, strict=True)):
                self._match(one, other, f"{path}[{index}]")
        else:
            assert wanted == actual, f"{path}: {actual!r}"
