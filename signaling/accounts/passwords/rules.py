"""Which passwords are accepted: NIST SP 800-63B-4 section 3.1.1 (pure).

Length by code points after one normalisation, a block-list, words that everybody can guess for this
account; no rules of composition. A password is also refused when it is nothing but one or two
blocked words with runs, years and punctuation between: `password123456789` is on no list.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Collection, Container, Iterable

from msgspec import Struct

from signaling.errors import ClientError, Code

LONGEST = 128
MIN_ALONE = 15  # section 3.1.1.2: where the password is the only factor
MIN_WITH_SECOND = 8  # ... and where policy asks everybody for a second one
WORD_MIN, WORD_MAX = 3, 24  # of block-list entries looked for inside a password
# What a guesser's work is worth; a password must cost more than the budget. Two blocked words and a
# year are within it; eight random marks are not.
WORD_COST, NUMBER_COST, MARK_COST = 10, 6, 4
BUDGET = 2 * WORD_COST + NUMBER_COST
PRODUCT = ("sotto",)

ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "yxcvbnm",
    "zxcvbnm",
)
RUNS = tuple(row for line in ROWS for row in (line, line[::-1]))
MARKS = frozenset(string.punctuation + " ")
LOOKALIKES = str.maketrans("0134578@$!+", "oleastbasit")


class Policy(Struct, frozen=True):
    shortest: int = MIN_ALONE
    words: tuple[str, ...] = ()  # of the installation and the app, beside the product's


def normalise(password: str) -> str:
    """NFKC, once, before anything else looks at it (section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def check(
    password: str, policy: Policy, blocked: Container[str], personal: Iterable[str] = ()
) -> str:
    """The normalised password. Raises ClientError 422 with the reason.

    `personal`: login, name, mail address: what an attacker who knows the account tries first.
    """
    text = normalise(password)
    if len(text) < policy.shortest:
        raise ClientError(
            Code.PASSWORD_TOO_SHORT, 422, f"A password has at least {policy.shortest} characters."
        )
    if len(text) > LONGEST:
        raise ClientError(
            Code.PASSWORD_TOO_LONG, 422, f"A password has at most {LONGEST} characters."
        )
    folded = text.casefold()
    plain = folded.translate(LOOKALIKES)
    if folded in blocked or plain in blocked:
        raise common()
    context = _words((*PRODUCT, *policy.words, *personal))
    if any(_guessable(form, blocked, context) for form in {folded, plain}):
        raise ClientError(
            Code.PASSWORD_GUESSABLE,
            422,
            "This password is made of common words, your own name or simple runs.",
        )
    return text


def common() -> ClientError:
    return ClientError(Code.PASSWORD_COMMON, 422, "This password is on a list of common ones.")


def _words(texts: Iterable[str]) -> frozenset[str]:
    """Whole and in parts: `ana.silva@example.org` gives ana, silva, example, org too."""
    found: set[str] = set()
    for text in texts:
        folded = normalise(text).casefold()
        parts = "".join(c if c.isalnum() else " " for c in folded).split()
        found.update(part for part in (folded, *parts) if len(part) >= WORD_MIN)
    return frozenset(found)


def _guessable(text: str, blocked: Container[str], context: Collection[str]) -> bool:
    """Can the whole text be put together from blocked words and fillers within the budget?"""
    unit = _unit(text)
    if unit != text and (unit in blocked or len(unit) < WORD_MIN * 2):
        return True
    best = [BUDGET + 1] * (len(unit) + 1)
    best[0] = 0
    for at in range(len(unit)):
        so_far = best[at]
        if so_far > BUDGET:
            continue
        for end, cost in _fillers(unit, at, context):
            best[end] = min(best[end], so_far + cost)
        if so_far + WORD_COST <= BUDGET:
            for end in range(at + WORD_MIN, min(len(unit), at + WORD_MAX) + 1):
                if best[end] > so_far + WORD_COST and unit[at:end] in blocked:
                    best[end] = so_far + WORD_COST
    return best[-1] <= BUDGET


def _unit(text: str) -> str:
    """`abcabcabc` -> `abc`: the shortest text that repeats to this one."""
    size = (text + text).find(text, 1)
    return text[:size]


def _fillers(text: str, at: int, context: Collection[str]) -> set[tuple[int, int]]:
    """Where something ends that begins at `at` and gives a guesser little work, and how little."""
    found = {(at + len(word), 0) for word in context if text.startswith(word, at)}
    same = len(text) - at - len(text[at:].lstrip(text[at]))
    if text[at] in MARKS:
        found |= {(at + 1, MARK_COST), (at + same, MARK_COST)}
    digits = next((n for n in range(5) if not text[at + n : at + n + 1].isdecimal()), 5)
    if 1 <= digits <= 4:  # years and short numbers, never a part of a long one
        found.add((at + digits, NUMBER_COST))
    run = max(_run(row, text, at) for row in RUNS)
    found.update((at + size, 0) for size in (run, same) if size >= WORD_MIN)
    return found


def _run(row: str, text: str, at: int) -> int:
    """How many characters from `at` on follow each other in the row."""
    place = row.find(text[at])
    size = 0
    while (
        place >= 0
        and place + size < len(row)
        and text[at + size : at + size + 1] == row[place + size]
    ):
        size += 1
    return size
