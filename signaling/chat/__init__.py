"""Rooms with lasting messages: their ops, what follows from them, and who may do what."""
