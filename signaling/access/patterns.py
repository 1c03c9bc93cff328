"""Resource patterns: google-re2 (linear time), always against the whole name, never a part of it.

Compiled once for a token. All patterns of a token that give the same permissions become one
alternation, so that a thousand patterns cost one automaton and not a thousand look-ups. An
alternation and not an `re2.Set`: when its automaton outgrows the memory a Set reports no match
without an error, whereas a single expression falls back to a slower way with the same answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol

import re2  # type: ignore[import-untyped]

# Longer than anybody writes, shorter than anybody generates by mistake (promises 1.D).
PATTERN_BYTES = 4096
# One pattern must compile within this; what does not is refused when granted.
PATTERN_MEMORY = 1 << 20
# All patterns of one grant together, in instructions of re2's program. A name of 256 bytes then
# costs a tenth of a second at the very worst, and microseconds for what people write.
GRANT_INSTRUCTIONS = 50_000
# The combined automaton: its program, and the states that names have led to so far.
COMBINED_MEMORY = 4 << 20


class PatternError(ValueError):
    """Says what is wrong, without the pattern."""


class Program(Protocol):
    """What of a compiled expression is used here."""

    programsize: int

    def fullmatch(self, text: bytes) -> object | None: ...


def check(pattern: str) -> int:
    """The size of its program. Raises PatternError for what re2 does not take, or is too long."""
    try:
        raw = pattern.encode()
    except UnicodeEncodeError:
        raise PatternError("The pattern is not valid Unicode.") from None
    if not raw:
        raise PatternError("The pattern is empty.")
    if len(raw) > PATTERN_BYTES:
        raise PatternError(f"The pattern is longer than {PATTERN_BYTES} bytes.")
    program = _compile(raw, PATTERN_MEMORY)
    if program is None:
        raise PatternError("The pattern is not a regular expression that RE2 accepts.")
    return program.programsize


class Patterns:
    """`mask(name)` is the union of the permissions of every pattern that matches all of `name`."""

    __slots__ = ("_programs", "memory")

    def __init__(self, patterns: Mapping[str, int]) -> None:
        """`patterns` were checked when they were granted. `memory` bounds what all may come to."""
        by_mask: dict[int, list[bytes]] = defaultdict(list)
        for pattern, mask in patterns.items():
            if mask:
                by_mask[mask].append(pattern.encode())
        self.memory = 0
        self._programs: list[tuple[int, Program]] = []
        for mask, group in by_mask.items():
            self._add(mask, group)
        # re2's own cache would keep 128 automata of tokens that nobody uses any more.
        re2.purge()

    def _add(self, mask: int, group: list[bytes]) -> None:
        # \Q quotes up to the end of the expression: it would swallow what we write behind it.
        alone = [raw for raw in group if b"\\Q" in raw]
        joined = [raw for raw in group if b"\\Q" not in raw]
        combined = _compile(b"|".join(b"(?:" + raw + b")" for raw in joined), COMBINED_MEMORY)
        if combined is None:
            alone = group
        elif joined:
            self._keep(mask, combined, COMBINED_MEMORY)
        for raw in alone:
            single = _compile(raw, PATTERN_MEMORY)
            if single is None:
                raise PatternError("A pattern of a stored grant does not compile any more.")
            self._keep(mask, single, PATTERN_MEMORY)

    def _keep(self, mask: int, program: Program, memory: int) -> None:
        self._programs.append((mask, program))
        self.memory += memory

    def mask(self, name: str) -> int:
        raw = name.encode()
        found = 0
        for mask, program in self._programs:
            if mask & ~found and program.fullmatch(raw) is not None:
                found |= mask
        return found

    def __bool__(self) -> bool:
        return bool(self._programs)


def matching(patterns: Mapping[str, int], name: str) -> Iterable[tuple[str, int]]:
    """Every pattern that matches, one by one: for explanations, not for decisions."""
    raw = name.encode()
    for pattern, mask in patterns.items():
        program = _compile(pattern.encode(), PATTERN_MEMORY)
        if program is not None and program.fullmatch(raw) is not None:
            yield pattern, mask


def _compile(raw: bytes, memory: int) -> Program | None:
    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False
    options.never_capture = True
    try:
        program: Program = re2.compile(raw, options)
        return program
    except re2.error:
        return None
