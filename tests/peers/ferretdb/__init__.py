"""FerretDB with its SQLite backend: TLS and SCRAM as production demands them."""
