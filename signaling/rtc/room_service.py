"""LiveKit's RoomService over our rooms: each method with the grant that it needs.

Driven by `twirp`. It finds the room and participant, checks the grant, and leaves the change
itself to `moderation` and the domain objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from google.protobuf.message import Message
from livekit.protocol import models
from livekit.protocol import room as pb

from mediaserver.api import Channel
from signaling.errors import ClientError, Code, Refused
from signaling.rtc import moderation
from signaling.rtc.entry import attributes_size
from signaling.rtc.participant import Participant
from signaling.rtc.room import Room
from signaling.rtc.rooms import Rooms
from signaling.rtc.rpc import RpcFailure
from signaling.rtc.tokens import Claims
from signaling.rtc.twirp import Method, TwirpError

_NONCE_BYTES = 16
_RPC_CODES = {
    1400: "invalid_argument",
    1401: "not_found",
    1402: "malformed",
    1403: "unimplemented",
    1404: "unimplemented",
    1501: "canceled",
    1502: "canceled",
    1503: "unavailable",
}


class RoomService:
    """Every method of the service; `methods` is what `twirp` serves."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._limits = rooms.services.settings.limits
        self.methods: Mapping[str, Method] = {
            "CreateRoom": Method(pb.CreateRoomRequest, self.create_room),
            "ListRooms": Method(pb.ListRoomsRequest, self.list_rooms),
            "DeleteRoom": Method(pb.DeleteRoomRequest, self.delete_room),
            "ListParticipants": Method(pb.ListParticipantsRequest, self.list_participants),
            "GetParticipant": Method(pb.RoomParticipantIdentity, self.get_participant),
            "RemoveParticipant": Method(pb.RoomParticipantIdentity, self.remove_participant),
            "MutePublishedTrack": Method(pb.MuteRoomTrackRequest, self.mute_published_track),
            "UpdateParticipant": Method(pb.UpdateParticipantRequest, self.update_participant),
            "UpdateSubscriptions": Method(pb.UpdateSubscriptionsRequest, self.update_subscriptions),
            "SendData": Method(pb.SendDataRequest, self.send_data),
            "UpdateRoomMetadata": Method(pb.UpdateRoomMetadataRequest, self.update_room_metadata),
            "ForwardParticipant": Method(pb.ForwardParticipantRequest, self.forward_participant),
            "MoveParticipant": Method(pb.MoveParticipantRequest, self.move_participant),
            "PerformRpc": Method(pb.PerformRpcRequest, self.perform_rpc),
        }

    # Grants and lookups

    @staticmethod
    def _require(allowed: bool) -> None:
        if not allowed:
            raise Refused(Code.NOT_PERMITTED, 401, "permissions denied")

    def _admin(self, claims: Claims, room: str) -> None:
        self._require(bool(room) and claims.video.room_admin and claims.video.room == room)

    def _room(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is None:
            raise ClientError(Code.ROOM_NOT_FOUND, 404, "requested room does not exist")
        return room

    def _participant(self, room: str, identity: str) -> Participant:
        participant = self._seen(room, identity)
        if participant.room.name != room:
            raise ClientError(
                Code.PRECONDITION_FAILED, 412, "the participant is forwarded here from another room"
            )
        return participant

    def _seen(self, room: str, identity: str) -> Participant:
        """A participant or a guest, which can be looked at and removed and no more."""
        participant = self._room(room).found(identity)
        if participant is None:
            raise ClientError(Code.PARTICIPANT_NOT_FOUND, 404, "participant does not exist")
        return participant

    def _check_size(self, what: str, size: int, bound: int) -> None:
        if size > bound:
            raise ClientError(Code.TOO_LARGE, 400, f"{what} exceeds the limit of {bound}")

    # Rooms

    async def create_room(self, claims: Claims, request: pb.CreateRoomRequest) -> Message:
        self._require(claims.video.room_create)
        if not request.name:
            raise ClientError(Code.BAD_REQUEST, 400, "name is required")
        self._check_size("room name", len(request.name), self._limits.room_name_chars)
        self._check_size("metadata", len(request.metadata.encode()), self._limits.metadata_bytes)
        if request.HasField("egress"):
            raise TwirpError("unimplemented", "This server has no egress.")
        return self._rooms.create(request).info()

    async def list_rooms(self, claims: Claims, request: pb.ListRoomsRequest) -> Message:
        self._require(claims.video.room_list)
        names = set(request.names)
        return pb.ListRoomsResponse(
            rooms=[r.info() for r in self._rooms.all() if not names or r.name in names]
        )

    async def delete_room(self, claims: Claims, request: pb.DeleteRoomRequest) -> Message:
        self._require(claims.video.room_create)
        self._room(request.room).close(models.DisconnectReason.ROOM_DELETED)
        return pb.DeleteRoomResponse()

    async def update_room_metadata(
        self, claims: Claims, request: pb.UpdateRoomMetadataRequest
    ) -> Message:
        self._admin(claims, request.room)
        self._check_size("metadata", len(request.metadata.encode()), self._limits.metadata_bytes)
        room = self._room(request.room)
        room.set_metadata(request.metadata)
        return room.info()

    # Participants

    async def list_participants(
        self, claims: Claims, request: pb.ListParticipantsRequest
    ) -> Message:
        self._admin(claims, request.room)
        room = self._rooms.get(request.room)
        seen = [*room.participants(), *room.guests.all()] if room is not None else []
        infos = [room.info_of(p) for p in seen] if room is not None else []
        return pb.ListParticipantsResponse(participants=infos)

    async def get_participant(self, claims: Claims, request: pb.RoomParticipantIdentity) -> Message:
        self._admin(claims, request.room)
        participant = self._seen(request.room, request.identity)
        return self._room(request.room).info_of(participant)

    async def remove_participant(
        self, claims: Claims, request: pb.RoomParticipantIdentity
    ) -> Message:
        """The token that the participant came with no longer admits it."""
        self._admin(claims, request.room)
        participant = self._seen(request.room, request.identity)
        before = request.revoke_token_ts or int(self._rooms.services.clock.unix())
        self._rooms.revoke(request.room, request.identity, before)
        moderation.remove(participant, self._room(request.room))
        return pb.RemoveParticipantResponse()

    async def mute_published_track(
        self, claims: Claims, request: pb.MuteRoomTrackRequest
    ) -> Message:
        self._admin(claims, request.room)
        participant = self._participant(request.room, request.identity)
        info = moderation.mute_by_admin(participant, request.track_sid, request.muted)
        return pb.MuteRoomTrackResponse(track=info)

    async def update_participant(
        self, claims: Claims, request: pb.UpdateParticipantRequest
    ) -> Message:
        self._admin(claims, request.room)
        limits = self._limits
        self._check_size("name", len(request.name), limits.name_chars)
        self._check_size("metadata", len(request.metadata.encode()), limits.metadata_bytes)
        self._check_size("attributes", attributes_size(request.attributes), limits.attributes_bytes)
        participant = self._participant(request.room, request.identity)
        if request.name or request.metadata or request.attributes:
            moderation.update_profile(
                participant, request.name, request.metadata, request.attributes
            )
        if request.HasField("permission"):
            moderation.set_permission(participant, request.permission)
        return participant.info()

    async def update_subscriptions(
        self, claims: Claims, request: pb.UpdateSubscriptionsRequest
    ) -> Message:
        self._admin(claims, request.room)
        participant = self._participant(request.room, request.identity)
        sids = list(request.track_sids)
        for tracks in request.participant_tracks:
            sids.extend(tracks.track_sids)
        participant.subscribing.want(sids, request.subscribe)
        return pb.UpdateSubscriptionsResponse()

    async def forward_participant(
        self, claims: Claims, request: pb.ForwardParticipantRequest
    ) -> Message:
        """It stays in its room and is a guest of the destination."""
        participant, room = self._destination(claims, request)
        room.guests.add(participant)
        return pb.ForwardParticipantResponse()

    async def move_participant(self, claims: Claims, request: pb.MoveParticipantRequest) -> Message:
        participant, room = self._destination(claims, request)
        if room.by_identity(request.identity) is not None:
            raise ClientError(Code.CONFLICT, 409, "the identity is in the destination room")
        moderation.move(participant, room)
        return pb.MoveParticipantResponse()

    def _destination(
        self, claims: Claims, request: pb.ForwardParticipantRequest | pb.MoveParticipantRequest
    ) -> tuple[Participant, Room]:
        """The participant and the room that it is to be seen in, which is made if need be."""
        source, destination = request.room, request.destination_room
        self._admin(claims, source)
        self._require(claims.video.destination_room == destination)
        participant = self._participant(source, request.identity)
        if not destination or destination == source:
            raise ClientError(Code.BAD_REQUEST, 400, "name another room as the destination")
        self._check_size("room name", len(destination), self._limits.room_name_chars)
        return participant, self._rooms.create(pb.CreateRoomRequest(name=destination))

    # Data

    async def send_data(self, claims: Claims, request: pb.SendDataRequest) -> Message:
        self._admin(claims, request.room)
        self._check_size("data", len(request.data), self._limits.data_packet_bytes)
        if len(request.nonce) not in (0, _NONCE_BYTES):
            raise ClientError(Code.BAD_REQUEST, 400, "nonce should be 16 bytes or absent")
        room = self._room(request.room)
        if request.nonce and room.relay.repeated(request.nonce):
            return pb.SendDataResponse()
        packet = models.DataPacket(
            kind=request.kind,
            destination_identities=request.destination_identities,
            user=models.UserPacket(
                payload=request.data,
                destination_identities=request.destination_identities,
                destination_sids=request.destination_sids,
                nonce=request.nonce,
            ),
        )
        if request.HasField("topic"):
            packet.user.topic = request.topic
        reliable = request.kind == models.DataPacket.Kind.RELIABLE
        room.relay.send(packet, Channel.RELIABLE if reliable else Channel.LOSSY, None)
        return pb.SendDataResponse()

    async def perform_rpc(self, claims: Claims, request: pb.PerformRpcRequest) -> Message:
        self._admin(claims, request.room)
        participant = self._participant(request.room, request.destination_identity)
        result: asyncio.Future[str | RpcFailure] = asyncio.get_running_loop().create_future()

        def done(value: str | RpcFailure) -> None:
            if not result.done():
                result.set_result(value)

        participant.room.rpc.call(
            participant, request.method, request.payload, request.response_timeout_ms, done
        )
        value = await result
        if isinstance(value, RpcFailure):
            meta = {"rpc_code": str(value.code), "rpc_data": value.data}
            raise TwirpError(_RPC_CODES.get(value.code, "internal"), value.text, meta)
        return pb.PerformRpcResponse(payload=value)
