"""The OAuth 2.0 server: how other programs act for an account, or for themselves."""
