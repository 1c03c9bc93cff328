"""What the Access Manager answers, by the words of section 1.D: the members beside a problem's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

SERVICE = "Access Manager"
ROOM: dict[str, Any] = {"resources": {"channels": {"room": 3}}}
PROBLEM = {"type", "title", "code", "detail", "request_id"}


class Answer(Protocol):
    """As the rig gives it, or the houses of the rows."""

    @property
    def body(self) -> Any: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def text(self) -> str: ...


def members(answer: Answer) -> dict[str, Any]:
    """The body without the members of a problem, which must all be there, in its media type."""
    assert answer.headers["Content-Type"].startswith("application/problem+json"), answer.text
    assert answer.body.keys() >= PROBLEM, answer.body
    return {name: value for name, value in answer.body.items() if name not in PROBLEM | {"errors"}}


def refusal(word: str, source: str, location: str, kind: str, details: str, status: int) -> Any:
    return {
        "error": {
            "message": f"Invalid {word}",
            "source": source,
            "details": [{"message": details, "location": location, "locationType": kind}],
        },
        "service": SERVICE,
        "status": status,
    }


def said(message: str, **payload: list[str]) -> dict[str, Any]:
    """A 403 of the evaluation."""
    shown = {name.replace("_", "-"): names for name, names in payload.items()}
    found = {"message": message, "error": True, "service": SERVICE, "status": 403}
    return {**found, "payload": shown} if shown else found
