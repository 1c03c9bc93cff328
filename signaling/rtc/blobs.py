"""Data blobs: small named values (schemas of data tracks) that a participant stores and others
fetch.

They live as long as their owner stays. Bounded in size for each and for all of one owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant

Reason = rtc.RequestResponse.Reason


class Blobs:
    """Blobs by their serialized key."""

    def __init__(self, participant: Participant) -> None:
        self._p = participant
        self._blobs: dict[bytes, models.DataBlob] = {}

    def find(self, key: models.DataBlobKey) -> models.DataBlob | None:
        return self._blobs.get(_raw(key))

    def store(self, request: rtc.StoreDataBlobRequest) -> None:
        problem = self._problem(request.blob)
        if problem is not None:
            answer = rtc.RequestResponse(request_id=request.request_id)
            self._p.refuse(problem[0], problem[1], answer)
            return
        blob = models.DataBlob()
        blob.CopyFrom(request.blob)
        self._blobs[_raw(blob.key)] = blob
        response = rtc.StoreDataBlobResponse(request_id=request.request_id, key=blob.key)
        self._p.send(rtc.SignalResponse(store_data_blob_response=response))

    def _problem(self, blob: models.DataBlob) -> tuple[rtc.RequestResponse.Reason, str] | None:
        limits = self._p.services.settings.limits
        kind = blob.key.WhichOneof("key")
        name = blob.key.generic if kind == "generic" else blob.key.schema_id.name
        encoding = blob.key.schema_id.encoding
        if not self._p.grant.can_publish_data:
            return Reason.NOT_ALLOWED, "does not have permission to publish data"
        if kind is None or not 0 < len(name) <= limits.blob_key_chars:
            return Reason.INVALID_REQUEST, "the key is empty or too long"
        if encoding.WhichOneof("value") == "custom" and not (
            0 < len(encoding.custom) <= limits.data_track_encoding_chars
        ):
            return Reason.INVALID_REQUEST, "encoding identifier is empty or too long"
        if not blob.contents:
            return Reason.INVALID_REQUEST, "the blob is empty"
        others = sum(
            len(key) + len(b.contents) for key, b in self._blobs.items() if key != _raw(blob.key)
        )
        if (
            len(blob.contents) > limits.blob_bytes
            or others + len(_raw(blob.key)) + len(blob.contents) > limits.blobs_total_bytes
        ):
            return Reason.LIMIT_EXCEEDED, "the blob exceeds the limit"
        return None

    def fetch(self, request: rtc.GetDataBlobRequest) -> None:
        """Answer with a blob of another participant, or of oneself."""
        answer = rtc.RequestResponse(request_id=request.request_id)
        if request.key.WhichOneof("key") is None:
            self._p.refuse(Reason.INVALID_REQUEST, "a key is required", answer)
            return
        owner = self._p.room.by_identity(request.participant_identity)
        if owner is None or (owner.hidden and owner is not self._p):
            self._p.refuse(Reason.NOT_FOUND, "participant not found", answer)
            return
        blob = owner.blobs.find(request.key)
        if blob is None:
            self._p.refuse(Reason.NOT_FOUND, "blob not found", answer)
            return
        response = rtc.GetDataBlobResponse(request_id=request.request_id, blob=blob)
        self._p.send(rtc.SignalResponse(get_data_blob_response=response))


def _raw(key: models.DataBlobKey) -> bytes:
    return key.SerializeToString(deterministic=True)
