"""Why a session ends: the verdicts of its engine, as the client is told them. Pure."""

from __future__ import annotations

from signaling.storage.port import Head
from signaling.sync.batch import spell
from signaling.sync.errors import Action, Fault, SyncCode
from signaling.sync.session_frames import PartitionIdent

GONE = "What this file needs is no longer kept."


def why_not(claimed: PartitionIdent, head: Head, upload: int, chain: bytes | None) -> Fault | None:
    """Why a file may not go on from where it stopped: it then begins anew."""
    at = claimed.download_server_version
    if at == 0:
        # It begins anew anyway, and learns what is left of its uploads.
        return None
    if claimed.upload_client_version > upload:
        return reset(SyncCode.BAD_CLIENT_VERSION, "This server knows less of this file.")
    if at > head.seq:
        return reset(SyncCode.BAD_SERVER_VERSION, "This file is ahead of the server.")
    if at < head.floor:
        return reset(SyncCode.CLIENT_FILE_EXPIRED, GONE)
    if chain is None or spell(chain) != claimed.chain:
        return reset(SyncCode.DIVERGING_HISTORIES, "This file has another history.")
    return None


def reset(code: SyncCode, message: str) -> Fault:
    return Fault(code, message, try_again=True, action=Action.CLIENT_RESET, reset=True)


def disorder(message: str) -> Fault:
    return Fault(SyncCode.BAD_MESSAGE_ORDER, message, action=Action.PROTOCOL_VIOLATION)


def bad_version(version: int, taken: int) -> Fault:
    return Fault(
        SyncCode.BAD_CLIENT_VERSION,
        f"Version {version} does not follow {taken}.",
        action=Action.APPLICATION_BUG,
    )
