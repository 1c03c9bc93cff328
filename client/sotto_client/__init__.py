"""Rooms and messages of a Sotto server, also while it is away.

async with Client(url, Local("me.db"), token) as me:
    room = me.room(room_id)
    room.post("hello")
    await room.synced()
"""

from sotto_client.account import Account
from sotto_client.api import Api, Refused, sign_in
from sotto_client.backoff import Backoff
from sotto_client.client import Client
from sotto_client.local import Local
from sotto_client.presence import Person, Presence
from sotto_client.ring import LogRing
from sotto_client.room import Room

__all__ = [
    "Account",
    "Api",
    "Backoff",
    "Client",
    "Local",
    "LogRing",
    "Person",
    "Presence",
    "Refused",
    "Room",
    "sign_in",
]
