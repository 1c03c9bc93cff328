"""A session alone: what it sends when its own changes and those of others come close together."""

from __future__ import annotations

import json
from typing import Any

from signaling.chat.ops import Change, Set
from signaling.chat.ports import Integrated
from signaling.storage.port import Head
from signaling.sync.batch import Batch
from signaling.sync.engine import Effect, Integrate, Read, Send, Session
from signaling.sync.session_frames import PartitionIdent
from tests.signaling.chat.entries import entry

MINE, THEIRS = "7", "8"
CHAIN = bytes(32)


def live() -> Session:
    session = Session(1)
    ident = PartitionIdent(session=1, client_file_ident=MINE, client_file_ident_salt="s")
    session.identify(ident)
    session.resumed(Head(), 0, None, b"{}")
    return session


def batch(first: int, *idents: str) -> Batch:
    op = Set(name="n")
    entries = [entry(seq, "ana", op, ident=ident) for seq, ident in enumerate(idents, first)]
    return Batch(entries, CHAIN)


def frames(effects: list[Effect]) -> list[dict[str, Any]]:
    assert all(isinstance(effect, Send) for effect in effects), effects
    return [json.loads(effect.data) for effect in effects if isinstance(effect, Send)]


def brought(effects: list[Effect]) -> list[tuple[list[int], int]]:
    """Of each download its places, and the version that it acknowledges."""
    return [
        ([change["seq"] for change in frame["changes"]], frame["upload_client_version"])
        for frame in frames(effects)
    ]


def uploading(session: Session, version: int = 1) -> None:
    change = Change(version=version, clock=1, op=Set(name="n"))
    assert session.upload([change]) == [Integrate([change])]


def done(cursor: int, *of: Batch) -> Integrated:
    entries = [one for given in of for one in given.entries]
    return Integrated(cursor=cursor, head=Head(), entries=entries)


def test_its_own_place_and_its_acknowledgement_are_one_frame() -> None:
    session = live()
    uploading(session)
    own = batch(1, MINE)
    assert session.news(own) == []
    assert brought(session.integrated(done(1, own))) == [([1], 1)]


def test_what_others_wrote_meanwhile_keeps_its_order() -> None:
    session = live()
    assert brought(session.news(batch(1, THEIRS))) == [([1], 0)]
    uploading(session)
    assert brought(session.news(batch(2, THEIRS))) == [([2], 0)]
    own, after = batch(3, MINE), batch(4, THEIRS)
    assert (session.news(own), session.news(after)) == ([], [])
    assert brought(session.integrated(done(1, own))) == [([3], 1), ([4], 1)]


def test_of_a_batch_that_it_has_in_part_it_gets_the_rest() -> None:
    session = live()
    uploading(session)
    first = batch(1, THEIRS, MINE)
    session.integrated(done(1, batch(2, MINE)))
    assert brought(session.own(first)) == [([1, 2], 1)]
    assert brought(session.news(batch(1, THEIRS, MINE, THEIRS))) == [([3], 1)]
    assert session.news(first) == []


def test_its_own_comes_though_the_next_upload_is_under_way() -> None:
    session = live()
    uploading(session, 1)
    assert session.upload([Change(version=2, clock=1, op=Set(name="n"))]) == []
    (going_on,) = session.integrated(done(1, batch(1, MINE)))
    assert isinstance(going_on, Integrate)
    assert brought(session.own(batch(1, MINE))) == [([1], 1)]


def test_a_gap_is_read_from_the_store_and_what_was_kept_is_not_sent_twice() -> None:
    session = live()
    uploading(session)
    own = batch(1, MINE)
    session.news(own)
    assert session.looked(5, 1) == [Read(0)]
    page, mark = frames(session.page(own))
    assert ([change["seq"] for change in page["changes"]], mark["request"]) == ([1], 5)
    (told,) = frames(session.integrated(done(1, own)))
    assert (told["upload_client_version"], told["changes"]) == (1, [])
