"""Certificates from a real ACME server, Debian's `pebble`."""
