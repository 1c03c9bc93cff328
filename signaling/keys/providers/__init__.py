"""One module for each KMS: local files, AWS KMS, Vault or OpenBao transit, PKCS#11."""
