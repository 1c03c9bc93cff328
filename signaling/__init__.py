"""Decides who may do what and who must be told; drives `mediaserver.api` and `turn`."""
