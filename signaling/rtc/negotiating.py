"""Offers and answers of one participant: SINGLE offers always, DUAL answers our subscriber offers
too.

Between the client's messages and `ParticipantMedia`. A description that cannot be used ends the
participant; trouble of our own asks it to start afresh.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from mediaserver.api import ClientError, Code, MediaError, Offer, Target

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant

# How long an answer waits for a sign that the client can take it.
_HOLD = 0.25

Action = rtc.LeaveRequest.Action
Reason = models.DisconnectReason


class Negotiating:
    """`refusal` is the media server's error that ended the participant, for WHIP and WHEP."""

    def __init__(self, participant: Participant) -> None:
        self._p = participant
        self.refusal: MediaError | None = None
        self._answered = False
        self._trickled: set[rtc.SignalTarget] = set()
        self._sections: rtc.MediaSectionsRequirement | None = None
        self._held: rtc.SessionDescription | None = None

    async def answer_to(self, description: rtc.SessionDescription) -> rtc.SessionDescription | None:
        """The client's offer. Returns the answer; None when the participant had to leave."""
        try:
            answer = await self._p.media.offer(
                Target.PUBLISHER,
                description.sdp,
                mid_to_track=dict(description.mid_to_track_id),
            )
        except MediaError as error:
            self._p.services.counters.add("offers_refused")
            self._failed(error)
            return None
        return rtc.SessionDescription(
            type="answer",
            sdp=answer.sdp,
            id=description.id,
            mid_to_track_id=dict(answer.mid_to_track),
        )

    async def offered(self, description: rtc.SessionDescription) -> None:
        """`answer_to`, and send the answer."""
        answer = await self.answer_to(description)
        if answer is not None:
            self._answer(answer)

    async def offered_to_join(self, description: rtc.SessionDescription) -> None:
        """The offer that a join request brought.

        The Go SDK (2.18) makes that offer its own only after it began to read what follows the
        join response, and loses an answer that is faster. Its first candidate tells that it has.
        """
        answer = await self.answer_to(description)
        if answer is None:
            return
        if self._p.entry.client.sdk != models.ClientInfo.SDK.GO:
            self._answer(answer)
            return
        self._held = answer
        self._p.services.clock.call_later(_HOLD, self.release)

    def release(self) -> None:
        """Send the answer that waits, if one does."""
        answer, self._held = self._held, None
        if answer is not None and not self._p.closed:
            self._answer(answer)

    def _answer(self, answer: rtc.SessionDescription) -> None:
        self._p.send(rtc.SignalResponse(answer=answer))
        self._trickle(answer.sdp, rtc.SignalTarget.PUBLISHER)
        self._answered = True
        self.need_sections(self._sections)

    def need_sections(self, need: rtc.MediaSectionsRequirement | None) -> None:
        """SINGLE: ask the client for sections; not before its first offer was answered."""
        if need is None or not self._answered:
            self._sections = need
            return
        self._sections = None
        self._p.send(rtc.SignalResponse(media_sections_requirement=need))

    def offer(self, offer: Offer) -> None:
        """DUAL: the media server wants to renegotiate the subscriber connection."""
        description = rtc.SessionDescription(
            type="offer",
            sdp=offer.sdp,
            id=offer.offer_id,
            mid_to_track_id=dict(offer.mid_to_track),
        )
        self._p.send(rtc.SignalResponse(offer=description))
        self._trickle(offer.sdp, rtc.SignalTarget.SUBSCRIBER)

    def _trickle(self, sdp: str, target: rtc.SignalTarget) -> None:
        """Our candidates once more, one by one, for clients that read them only so.

        They are those of the description, so other clients see nothing new. Once for each
        connection: addresses do not change, and a restart's description carries them again.
        """
        if target in self._trickled:
            return
        self._trickled.add(target)
        messages = trickles(sdp, target)
        for message in messages:
            self._p.send(rtc.SignalResponse(trickle=message))

    async def answered(self, description: rtc.SessionDescription) -> None:
        """DUAL: the client's answer to the subscriber offer."""
        try:
            await self._p.media.answer(description.sdp, offer_id=description.id)
        except MediaError as error:
            self._p.services.counters.add("answers_refused")
            self._failed(error)

    def _failed(self, error: MediaError) -> None:
        self.refusal = error
        if error.code is Code.ANSWER_UNEXPECTED:
            return  # to an offer that a newer one replaced; that one is answered or times out
        ours = not isinstance(error, ClientError) or error.code is Code.PARTICIPANT_CLOSED
        self._p.leave(Reason.MEDIA_FAILURE, Action.RECONNECT if ours else Action.DISCONNECT)


def trickles(sdp: str, target: rtc.SignalTarget) -> list[rtc.TrickleRequest]:
    """The candidates of a description as messages; the last is final (RFC 8838 section 8.2)."""
    lines = [line.strip() for line in sdp.splitlines()]
    mid = next((line[6:] for line in lines if line.startswith("a=mid:")), "0")
    found = dict.fromkeys(line[2:] for line in lines if line.startswith("a=candidate:"))
    messages = [
        rtc.TrickleRequest(
            candidateInit=json.dumps({"candidate": text, "sdpMid": mid, "sdpMLineIndex": 0}),
            target=target,
        )
        for text in found
    ]
    if messages:
        messages[-1].final = True
    return messages
