"""A hypothesis state machine over one store: random calls, closings and openings, against a model.

Subclasses say where the store is. Random rules alone rarely meet each other, so keys, rooms and
idents come from small sets, and versions from near the cursor.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signaling.clock import FakeClock
from signaling.storage.port import Conflict, NewOp, Store
from tests.signaling.storage.model import Model, ModelDocument
from tests.signaling.storage.places import Place

T = TypeVar("T")

# Mostly the first: what never meets shows nothing.
APPS = st.sampled_from(["a", "a", "a", "b"])
KINDS = st.sampled_from(["k", "k", "k", "kk"])
KEYS = st.sampled_from(["1x", "1x", "1x", "10x", "éx", "\0x"])
TERMS = st.lists(st.sampled_from(["t", "u", "tt"]), max_size=2)
ROOMS = st.sampled_from(["r", "r", "r", "rr", "\0r"])
IDENTS = st.sampled_from(["i", "i", "j", "ii"])
VALUES = st.binary(max_size=8)


class StoreMachine(RuleBasedStateMachine):
    """`make` is set by the test that runs it."""

    make: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.model = Model()
        self.versions: set[tuple[str, str, str, int]] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def open(self) -> None:
        self.place: Place = type(self).make()
        self.store: Store = self.run(self.place.open(self.clock))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close())
            self.run(self.place.clear())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()

    @precondition(lambda self: self.place.lasting)
    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = self.run(self.place.open(self.clock))

    @rule(seconds=st.sampled_from([0.5, 1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def sweep(self) -> None:
        self.run(self.store.sweep())
        assert self.run(self.store.sweep()) == 0

    @rule()
    def ready(self) -> None:
        self.run(self.store.ready())

    @rule(
        app=APPS,
        kind=KINDS,
        key=KEYS,
        value=VALUES,
        terms=TERMS,
        life=st.sampled_from([None, None, 1.0, 5.0]),
        stale=st.sampled_from([0, 0, 0, 1, -1]),
    )
    def put(
        self,
        app: str,
        kind: str,
        key: str,
        value: bytes,
        terms: list[str],
        life: float | None,
        stale: int,
    ) -> None:
        where = (app, kind, key)
        now = self.clock.unix()
        live = self.model.live(where, now)
        expect = max(0, (live.version if live else 0) + stale)
        expires = None if life is None else now + life
        put = self.store.meta.put(*where, value, expect=expect, terms=terms, expires=expires)
        if expect == (live.version if live else 0):
            version = self.run(put)
            assert version == live.version + 1 if live else version > 0
            assert (*where, version) not in self.versions, "a namesake had this version"
            self.versions.add((*where, version))
            sorted_terms = tuple(sorted(set(terms)))
            self.model.documents[where] = ModelDocument(version, value, sorted_terms, expires)
        else:
            self.conflicts(put)

    @precondition(lambda self: bool(self.model.documents))
    @rule(choice=st.integers(0, 99), terms=TERMS, life=st.sampled_from([None, 1.0, 5.0]))
    def rewrite(self, choice: int, terms: list[str], life: float | None) -> None:
        """What was there once, written again: live, expired or deleted since."""
        places = sorted(self.model.documents)
        self.put(*places[choice % len(places)], b"again", terms, life, 0)

    def conflicts(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            self.run(work)
        except Conflict:
            return
        raise AssertionError("this should have been a conflict")

    @rule(app=APPS, kind=KINDS, key=KEYS, expect=st.sampled_from([None, None, 0, 1]))
    def delete(self, app: str, kind: str, key: str, expect: int | None) -> None:
        where = (app, kind, key)
        live = self.model.live(where, self.clock.unix())
        if expect is not None:
            delete = self.store.meta.delete(*where, expect=(live.version if live else 5) + expect)
            if live is None or expect:
                self.conflicts(delete)
                return
            assert self.run(delete)
        else:
            assert self.run(self.store.meta.delete(*where)) == (live is not None)
        self.model.documents.pop(where, None)

    @rule(app=APPS, kind=KINDS, keys=st.lists(KEYS, max_size=4))
    def remove(self, app: str, kind: str, keys: list[str]) -> None:
        places = [(app, kind, key) for key in dict.fromkeys(keys)]
        live = [self.model.live(where, self.clock.unix()) is not None for where in places]
        assert self.run(self.store.meta.remove(app, kind, keys)) == sum(live)
        for where in places:
            self.model.documents.pop(where, None)

    @rule(
        app=APPS,
        kind=KINDS,
        term=st.sampled_from([None, "t", "u"]),
        after=st.one_of(st.just(""), KEYS),
        limit=st.integers(1, 5),
    )
    def scan(self, app: str, kind: str, term: str | None, after: str, limit: int) -> None:
        now = self.clock.unix()
        expected = [
            (where[2], found.version, found.value, found.terms, found.expires)
            for where, found in sorted(self.model.documents.items())
            if where[:2] == (app, kind) and where[2] > after and self.model.live(where, now)
            if term is None or term in found.terms
        ]
        found = self.run(self.store.meta.scan(app, kind, term=term, after=after, limit=limit))
        assert [
            (one.key, one.version, one.value, one.terms, one.expires) for one in found
        ] == expected[:limit]

    @invariant()
    def every_term_finds_what_has_it(self) -> None:
        now = self.clock.unix()
        for app, kind in {where[:2] for where in self.model.documents}:
            for term in ("t", "u", "tt"):
                found = self.run(self.store.meta.scan(app, kind, term=term))
                assert [one.key for one in found] == [
                    where[2]
                    for where, one in sorted(self.model.documents.items())
                    if where[:2] == (app, kind) and term in one.terms
                    if self.model.live(where, now)
                ]

    @invariant()
    def documents_are_as_written(self) -> None:
        if not hasattr(self, "store"):
            return
        now = self.clock.unix()
        for where in self.model.documents:
            live = self.model.live(where, now)
            found = self.run(self.store.meta.get(*where))
            assert (found.version if found else None) == (live.version if live else None)
            assert (found.value if found else None) == (live.value if live else None)

    @rule(
        app=APPS,
        room=ROOMS,
        batch=st.lists(st.tuples(IDENTS, st.sampled_from([1, 1, 1, 2, 0, -1]), VALUES), max_size=5),
        missed=st.sampled_from([None, None, None, 0, 0, 1]),
    )
    def append(
        self, app: str, room: str, batch: list[tuple[str, int, bytes]], missed: int | None
    ) -> None:
        """With `missed`, by somebody who expects an end of the room and missed so many ops."""
        here = self.model.room(app, room)
        expect = None if missed is None else len(here.ops) - missed
        late = [
            NewOp(ident, max(1, here.cursor(ident) + step), body) for ident, step, body in batch
        ]
        if missed and any(op.version > here.cursor(op.ident) for op in late):
            with contextlib.suppress(Conflict):
                self.run(self.store.log.append(app, room, late, expect=expect))
                raise AssertionError("it was taken although there is a newer op")
            return
        ops, expected = [], []
        for ident, step, body in batch:
            op = NewOp(ident, max(1, here.cursor(ident) + step), body)
            ops.append(op)
            expected.append(here.append(op))
        answers = self.run(self.store.log.append(app, room, ops, expect=expect))
        assert [(answer.seq, answer.duplicate) for answer in answers] == expected

    @rule(app=APPS, room=ROOMS, ident=IDENTS, missed=st.integers(0, 3), turns=st.booleans())
    def append_as_far_as_seen(
        self, app: str, room: str, ident: str, missed: int, turns: bool
    ) -> None:
        """Nothing is taken behind a turn that was missed; who missed nothing is always taken."""
        here = self.model.room(app, room)
        op = NewOp(ident, here.cursor(ident) + 1, b"seen", turns)
        seen = max(0, len(here.ops) - missed)
        answers = self.run(self.store.log.append(app, room, [op], seen=seen))
        if not answers:
            assert seen < len(here.ops)
            return
        assert not any(old.turns for old in here.ops[seen:])
        assert [(answer.seq, answer.duplicate) for answer in answers] == [here.append(op)]

    @rule(app=APPS, rooms=st.lists(ROOMS, min_size=2, max_size=6))
    def append_at_once(self, app: str, rooms: list[str]) -> None:
        """Every writer is another new ident: in whatever order they came, none is lost."""
        writers = [(room, f"w{place}") for place, room in enumerate(rooms)]
        ops = [
            NewOp(ident, self.model.room(app, room).cursor(ident) + 1, ident.encode())
            for room, ident in writers
        ]

        async def all_of_them() -> list[int]:
            given = await asyncio.gather(
                *(
                    self.store.log.append(app, room, [op])
                    for (room, _), op in zip(writers, ops, strict=True)
                )
            )
            return [answer.seq for (answer,) in given]

        order = sorted(zip(self.run(all_of_them()), rooms, ops, strict=True), key=lambda x: x[0])
        for seq, room, op in order:
            assert self.model.room(app, room).append(op) == (seq, False)

    @rule(
        app=APPS,
        room=ROOMS,
        after=st.none() | st.integers(0, 12),
        before=st.none() | st.integers(0, 14),
        limit=st.integers(1, 6),
    )
    def read(self, app: str, room: str, after: int | None, before: int | None, limit: int) -> None:
        here = self.model.room(app, room)
        visible = here.visible(after or 0, 10**9 if before is None else before)
        expected = visible[:limit] if after is not None else visible[-limit:]
        found = self.run(self.store.log.read(app, room, after=after, before=before, limit=limit))
        assert [(op.seq, op.ident, op.version, op.body, op.erased) for op in found] == expected
        for op in found:
            assert op.chain == here.chain(op.seq)

    @rule(app=APPS, room=ROOMS, seqs=st.lists(st.integers(0, 14), max_size=6))
    def pick(self, app: str, room: str, seqs: list[int]) -> None:
        here = self.model.room(app, room)
        expected = [one for one in here.visible(0, 10**9) if one[0] in seqs]
        found = self.run(self.store.log.pick(app, room, seqs))
        assert [(op.seq, op.ident, op.version, op.body, op.erased) for op in found] == expected

    @rule(app=APPS, room=ROOMS, upto=st.integers(-1, 12))
    def purge(self, app: str, room: str, upto: int) -> None:
        here = self.model.room(app, room)
        self.run(self.store.log.purge(app, room, upto))
        here.floor = max(here.floor, min(upto, len(here.ops)))

    @rule(app=APPS, room=ROOMS, seqs=st.lists(st.integers(0, 12), max_size=4))
    def erase(self, app: str, room: str, seqs: list[int]) -> None:
        here = self.model.room(app, room)
        self.run(self.store.log.erase(app, room, seqs))
        here.erased |= {seq for seq in seqs if here.floor < seq <= len(here.ops)}

    @invariant()
    def heads_and_cursors_agree(self) -> None:
        for (app, room), here in self.model.rooms.items():
            head = self.run(self.store.log.head(app, room))
            assert (head.seq, head.floor) == (len(here.ops), here.floor)
            assert head.chain == here.chain(len(here.ops))
            for ident in {op.ident for op in here.ops}:
                found = self.run(self.store.log.cursor(app, room, ident))
                assert found == here.cursor(ident)
