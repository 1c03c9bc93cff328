"""Tests of the same-named part."""
