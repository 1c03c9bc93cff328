"""Rooms as plain documents in a database of the operator's, and documents of others as posts."""
