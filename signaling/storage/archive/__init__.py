"""Backups: every row of a store as records, in an encrypted, authenticated stream.

`records` is what a store consists of, `stream` the file, `embedded` and `mongo` read and write a
store whole, `run` backs up, verifies and restores. An archive of one adapter restores into another.
"""
