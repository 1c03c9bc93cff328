"""The mirror: parsing, following a log, the database behind it."""
