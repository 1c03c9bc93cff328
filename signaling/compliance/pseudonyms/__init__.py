"""Names that lead to nobody without the key: for the audit, exports and certificates."""
