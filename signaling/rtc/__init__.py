"""LiveKit signaling: sockets, rooms, participants, the room service and webhooks."""
