"""The HTTP API: what an operation is, and everything that follows from a list of them."""

from signaling.http.api.operation import (
    AuditNote,
    Auth,
    Body,
    Call,
    Operation,
    Page,
    PageAsk,
    Query,
    Recording,
    Reply,
)

__all__ = [
    "AuditNote",
    "Auth",
    "Body",
    "Call",
    "Operation",
    "Page",
    "PageAsk",
    "Query",
    "Recording",
    "Reply",
]
