"""Every operation without a server: for the documents, the generated types and the tests.

Handlers are made over a store in memory and never called.
"""

from __future__ import annotations

from signaling.compose.api import Collected, documents
from signaling.config import Config
from signaling.http.api.operation import Operation


def described() -> list[Operation]:
    collected = Collected()
    documents(Config(), collected)
    return collected.operations
