"""Addresses of the store and the bus that are refused, and those that are taken."""

from __future__ import annotations

from typing import Any

import pytest

from signaling.config.store import Bus, Store
from signaling.config.store_rules import check_bus, check_store
from signaling.secret import Secret

WORD = Secret("a word that is long enough for this")


def store_problems(url: str, *, production: bool = True, **more: Any) -> list[str]:
    store = Store(url=url, **more)
    return [problem.path for problem in check_store(store, production=production)]


def bus_problems(url: str, **more: Any) -> list[str]:
    return [problem.path for problem in check_bus(Bus(url=url, **more))]


SIGNED_IN: dict[str, Any] = {"user": "sotto", "password": WORD}


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("", {}),
        ("mongodb://db.example:27017/?tls=true&replicaSet=rs0", SIGNED_IN),
        ("mongodb://a.example,b.example:27018/?ssl=true", SIGNED_IN),
        ("mongodb+srv://cluster.example/", SIGNED_IN),
        ("mongodb://127.0.0.1:27017", {"sidecar": True, **SIGNED_IN}),
        ("mongodb://[::1]:27017/", {"insecure_without_auth": True}),
        ("mongodb://%2Frun%2Fmongodb.sock/", {"insecure_without_auth": True}),
        (
            "mongodb://db.example/?tls=true&authMechanism=MONGODB-X509",
            {"certificate": "client.pem"},
        ),
    ],
)
def test_a8_stores_that_are_taken(url: str, more: dict[str, Any]) -> None:
    assert store_problems(url, **more) == []


@pytest.mark.parametrize(
    ("url", "more", "path"),
    [
        ("memory:", {}, "store.url"),
        ("postgres://db.example/", SIGNED_IN, "store.url"),
        ("mongodb://db.example:27017", SIGNED_IN, "store.url"),
        ("mongodb://127.0.0.1:27017", SIGNED_IN, "store.url"),
        ("mongodb://db.example/?tls=false", SIGNED_IN, "store.url"),
        ("mongodb+srv://db.example/?tls=false", SIGNED_IN, "store.url"),
        ("mongodb://db.example/?tls=true", {}, "store.user"),
        ("mongodb://db.example/?tls=true", {"user": "sotto"}, "store.user"),
        ("mongodb://db.example/?tls=true&authMechanism=MONGODB-X509", {}, "store.user"),
        ("mongodb://db.example/", {"insecure_without_auth": True}, "store.insecure_without_auth"),
        (
            "mongodb://127.0.0.1,db.example/",
            {"insecure_without_auth": True},
            "store.insecure_without_auth",
        ),
        ("mongodb://db.example/", {"sidecar": True, **SIGNED_IN}, "store.url"),
        ("mongodb://me:word@db.example/?tls=true", SIGNED_IN, "store.url"),
        ("mongodb://db.example/?tls=true&w=0", SIGNED_IN, "store.url"),
        ("mongodb://db.example/?tls=false&tls=true", SIGNED_IN, "store.url"),
        ("mongodb://db.example/?appname=x;tlsInsecure=true&tls=true", SIGNED_IN, "store.url"),
        ("mongodb://db.example/?tls=true&readPreference=nearest", SIGNED_IN, "store.url"),
    ],
)
def test_a8_stores_that_are_refused(url: str, more: dict[str, Any], path: str) -> None:
    assert path in store_problems(url, **more)


@pytest.mark.parametrize(
    "option", ["tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames", "tlsInsecure"]
)
def test_a10_certificates_are_always_checked(option: str) -> None:
    url = f"mongodb://db.example/?tls=true&{option}=true"
    for production in (True, False):
        assert store_problems(url, production=production, **SIGNED_IN) == ["store.url"]
    harmless = url.removesuffix("true") + "false"
    assert store_problems(harmless, **SIGNED_IN) == []


def test_memory_is_for_development() -> None:
    assert store_problems("memory:", production=False) == []


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("", {}),
        ("rediss://redis.example:6379/0", SIGNED_IN),
        ("redis://127.0.0.1:6379/0", {"sidecar": True, **SIGNED_IN}),
        ("redis://localhost:6379/0", {"insecure_plaintext": True}),
        ("unix:///run/redis.sock", {"insecure_plaintext": True}),
    ],
)
def test_a11_buses_that_are_taken(url: str, more: dict[str, Any]) -> None:
    assert bus_problems(url, **more) == []


@pytest.mark.parametrize(
    ("url", "more", "path"),
    [
        ("http://redis.example", SIGNED_IN, "bus.url"),
        ("redis://redis.example:6379", SIGNED_IN, "bus.url"),
        ("redis://127.0.0.1:6379", SIGNED_IN, "bus.url"),
        ("redis://redis.example:6379", {"sidecar": True, **SIGNED_IN}, "bus.url"),
        ("redis://redis.example:6379", {"insecure_plaintext": True}, "bus.insecure_plaintext"),
        ("rediss://redis.example:6379", {}, "bus.user"),
        ("rediss://redis.example:6379", {"user": "default", "password": WORD}, "bus.user"),
        ("rediss://:word@redis.example:6379", SIGNED_IN, "bus.url"),
        ("rediss://redis.example:6379/?ssl_cert_reqs=none", SIGNED_IN, "bus.url"),
        ("rediss://redis.example", {"certificate": "c.pem", **SIGNED_IN}, "bus.certificate"),
    ],
)
def test_a11_buses_that_are_refused(url: str, more: dict[str, Any], path: str) -> None:
    assert path in bus_problems(url, **more)
