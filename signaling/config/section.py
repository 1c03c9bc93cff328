"""What every table of the configuration file is made from; the tables are in modules beside it."""

from __future__ import annotations

from msgspec import Struct


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file. Its docstring opens its part of the reference page."""
