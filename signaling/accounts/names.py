"""Login names, display names and mail addresses: what is accepted and when two are the same (pure).

A login name is typed, so it is compared by what it looks like: NFKC and case folding, one script.
"""

from __future__ import annotations

import unicodedata

from signaling.errors import ClientError, Code

LOGIN_MIN, LOGIN_MAX = 2, 64
DISPLAY_MAX = 64
MAIL_MAX = 254  # RFC 5321 section 4.5.3.1.3: a path has 256 octets, two of them are the brackets
JOINERS = "._-"


def login(text: str) -> str:
    """The canonical form. Raises ClientError 422 for what cannot be a login name."""
    folded = canonical(text)
    if not LOGIN_MIN <= len(folded) <= LOGIN_MAX:
        raise _refused(f"A login name has {LOGIN_MIN} to {LOGIN_MAX} characters.")
    if not all(_fits(char) for char in folded):
        raise _refused("A login name has letters, digits, dots, hyphens and underscores.")
    if folded[0] in JOINERS or folded[-1] in JOINERS:
        raise _refused("A login name begins and ends with a letter or a digit.")
    if len({_script(char) for char in folded if char.isalpha()}) > 1:
        raise _refused("The letters of a login name come from one script.")
    return folded


def canonical(text: str) -> str:
    """Compatibility caseless matching, Unicode section 3.13 D146. Total: for look-ups."""
    text = text.encode("utf-8", "replace").decode()  # a lone surrogate is nobody's name
    folded = unicodedata.normalize("NFKC", text.strip()).casefold()
    return unicodedata.normalize("NFKC", folded)


def _fits(char: str) -> bool:
    return char in JOINERS or unicodedata.category(char) in ("Ll", "Lo", "Lm", "Mn", "Mc", "Nd")


def _script(char: str) -> str:
    """The first word of the character's name: LATIN, CYRILLIC, GREEK, HANGUL, CJK."""
    word = unicodedata.name(char, "UNKNOWN").split(" ", 1)[0]
    # Japanese is written with three, and names are not told apart by mixing them.
    return "CJK" if word in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA") else word


def display(text: str) -> str:
    """A name as others see it. Empty is allowed: nobody is asked for a name."""
    cleaned = unicodedata.normalize("NFC", text.strip())
    if len(cleaned) > DISPLAY_MAX or not cleaned.isprintable():
        raise ClientError(
            Code.BAD_REQUEST,
            422,
            f"A name has up to {DISPLAY_MAX} characters and no control characters.",
        )
    return cleaned


def mail(text: str) -> str:
    """An address that a letter can be sent to. The domain is folded, the local part is kept."""
    cleaned = unicodedata.normalize("NFC", text.strip())
    local, at, domain = cleaned.rpartition("@")
    bad = not at or not local or not domain or len(cleaned.encode()) > MAIL_MAX
    if bad or any(char.isspace() or not char.isprintable() for char in cleaned):
        raise ClientError(Code.BAD_REQUEST, 422, "This is not a mail address.")
    if any(char in '",:;<>()[]\\@' for char in local) or not _is_domain(domain):
        raise ClientError(Code.BAD_REQUEST, 422, "This is not a mail address.")
    return f"{local}@{domain.casefold()}"


def _is_domain(domain: str) -> bool:
    try:
        labels = domain.encode("idna").decode("ascii").split(".")
    except UnicodeError:
        return False
    return len(labels) > 1 and all(
        label and all(char.isalnum() or char == "-" for char in label) for label in labels
    )


def _refused(why: str) -> ClientError:
    return ClientError(Code.LOGIN_REFUSED, 422, why)
