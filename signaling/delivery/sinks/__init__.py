"""Kinds of receivers: HTTPS, and the operator's own systems."""
