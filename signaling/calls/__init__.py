"""Calls of rooms: ringing, their messages in the timeline, their history and their lobby."""
