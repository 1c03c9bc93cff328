"""Moves media: calls, DTLS and SCTP (aiortc) and the Rust packet engine.

Knows participants by id only; no accounts, no chat. Others import `mediaserver.api`.
"""
