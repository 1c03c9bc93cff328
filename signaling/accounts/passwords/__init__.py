"""Passwords: rules (pure), the offline block-list, and hashing in a bounded pool."""
