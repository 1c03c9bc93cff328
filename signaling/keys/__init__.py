"""Key management: the KMS port and its providers, and envelope encryption of every sensitive field."""
