"""Erasure of messages, rooms and people: jobs that end with a signed certificate."""
