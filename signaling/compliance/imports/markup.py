"""What Slack writes in a message (mrkdwn and its references in angle brackets) as Markdown. Pure.

Text that is code stays as it is. Nothing is ever fetched, and a name that nobody knows stays an id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
_REFERENCE = re.compile(r"<([^<>\s][^<>\n]{0,4000})>")
# A sign that stands at a word's edge, as Slack takes it for a mark.
_BOLD = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]{1,2000}?)(?<=\S)\*(?![\w*])")
_STRIKE = re.compile(r"(?<![\w~])~(?=\S)([^~\n]{1,2000}?)(?<=\S)~(?![\w~])")
_EVERYBODY = frozenset({"here", "channel", "everyone"})
_MENTION = re.compile(r"<@([A-Z0-9]{2,32})(?:\|[^<>]*)?>")


def mentioned(text: str) -> tuple[str, ...]:
    """The people that a text names, once each."""
    return tuple(dict.fromkeys(_MENTION.findall(text)))


def markdown(text: str, names: Mapping[str, str]) -> str:
    """`names` by id of a person."""
    pieces = _CODE.split(text)
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            piece = _STRIKE.sub(r"~~\1~~", _BOLD.sub(r"**\1**", piece))
        pieces[place] = _REFERENCE.sub(lambda met: _said(met[1], names), piece)
    return _plain("".join(pieces))


def _said(inner: str, names: Mapping[str, str]) -> str:
    target, _, label = inner.partition("|")
    if target.startswith("@"):
        return "@" + (names.get(target[1:]) or label or target[1:])
    if target.startswith("#"):
        return "#" + (label or target[1:])
    if target.startswith("!"):
        return _special(target[1:], label)
    if target.startswith("mailto:"):
        return label or target[len("mailto:") :]
    if not label or label == target:
        return target
    return f"[{label.replace('[', '(').replace(']', ')')}]({target})"


def _special(word: str, label: str) -> str:
    name = word.partition("^")[0]
    if name in _EVERYBODY:
        return f"@{name}"
    return label or f"@{name}"


def _plain(text: str) -> str:
    """The three signs that Slack escapes."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
