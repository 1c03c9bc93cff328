"""Every operation without a server: for the documents, the generated types and the tests.

Handlers are made over a store in memory and never called.
"""

from __future__ import annotations

from signaling.compose.access import described_access
from signaling.compose.api import Collected, documents
from signaling.compose.keeping import described_keeping
from signaling.config import Config
from signaling.http.api.operation import Operation
from signaling.http.guests import Guests
from signaling.rtc.tokens import ApiKeys


def described() -> list[Operation]:
    config = Config()
    collected = Collected()
    collected.operations += Guests(config, ApiKeys({}), str).operations()
    collected.operations += described_access(config.limits)
    collected.operations += described_keeping()
    documents(config, collected)
    return collected.operations
