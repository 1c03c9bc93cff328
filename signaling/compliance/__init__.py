"""What must be provable afterwards: the audit."""
