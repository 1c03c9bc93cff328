"""A copy of the audit elsewhere: syslog over TLS, webhook, OTLP, file; through outages."""
