"""Restriction of processing and objection to purposes (GDPR 18, 21)."""
