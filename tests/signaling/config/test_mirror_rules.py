"""The mirror's section: reached as safely as the store, beside it, and rooms named by id."""

from __future__ import annotations

from typing import Any

import pytest

from signaling.config.mirror import Mirror, check_mirror
from signaling.config.store import Store
from signaling.secret import Secret

URL = "mongodb://db.example/?tls=true"
ROOM = "01926f0e-7c1a-7000-8000-00000000000a"


def refused(store: Store | None = None, **given: Any) -> list[str]:
    known = {"url": URL, "user": "sotto", "password": Secret("word"), "rooms": (ROOM,), **given}
    errors = check_mirror(Mirror(**known), store or Store(), production=True)
    return [str(error) for error in errors]


def test_what_is_safe_is_taken_and_nothing_is_no_mirror() -> None:
    assert refused() == []
    assert refused(url="", user="", password=None) == []
    assert refused(url="mongodb://127.0.0.1/", insecure_without_auth=True, password=None) == []


@pytest.mark.parametrize(
    ("given", "path", "said"),
    [
        ({"url": "mongodb://db.example/"}, "mirror.url", "`mirror.sidecar`"),
        ({"url": "memory:"}, "mirror.url", "mongodb://"),
        ({"url": "https://db.example/"}, "mirror.url", "mongodb://"),
        ({"user": ""}, "mirror.user", "sign-in"),
        ({"url": "mongodb://a:b@db.example/?tls=true"}, "mirror.url", "`mirror.password`"),
        ({"url": URL + "&tlsInsecure=true"}, "mirror.url", "always checked"),
        ({"insecure_without_auth": True}, "mirror.insecure_without_auth", "loopback"),
        ({"rooms": ("Tea",)}, "mirror.rooms", "'Tea'"),
    ],
)
def test_what_is_not_is_refused_by_its_own_name(
    given: dict[str, Any], path: str, said: str
) -> None:
    (error,) = refused(**given)
    assert error.startswith(f"{path}: ") and said in error


def test_it_has_a_database_of_its_own() -> None:
    store = Store(url="mongodb://db.example/?tls=true", database="chat")
    assert refused(store, database="mirror") == []
    assert refused(store, database="chat") == [
        "mirror.database: is the store's: a mirror has one of its own"
    ]
