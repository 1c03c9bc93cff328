"""Tests a running server as a client would reach it, hop by hop.

Says which hop is broken and what to do.
"""
