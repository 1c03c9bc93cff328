"""Credentials, configuration and checks for the coturn relay beside the server."""
