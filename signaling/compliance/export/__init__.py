"""Export of a person's or a room's data as documented JSON in one archive."""
