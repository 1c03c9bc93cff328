"""Fixtures of the interop tests: the server under test, a room of one's own, media files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import clients, media
from tests.interop.servers import Server, serving

_rooms = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def files() -> media.Files:
    return media.make(clients.CACHE / "media-1")


@pytest.fixture
def room() -> str:
    return f"room-{next(_rooms)}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
