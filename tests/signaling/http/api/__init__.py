"""Tests of the API framework, over operations made for them."""
