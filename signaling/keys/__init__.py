"""Key management: the KMS port, its providers, and envelope encryption of sensitive fields."""
