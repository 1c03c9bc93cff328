"""WHIP (RFC 9725) and WHEP: one HTTP offer in, one answer out, an ordinary participant behind it."""
