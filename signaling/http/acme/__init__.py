"""Certificates from an ACME authority (RFC 8555): asked for, proved, stored, renewed."""
