"""Sync as a whole: the server's sessions and the clients' copies against each other."""
