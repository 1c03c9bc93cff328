"""The reference page is what the tree says, and the tree says something of every key."""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import msgspec

from signaling.config.page import _describe, render
from signaling.config.section import Section
from signaling.config.tree import Config

PAGE = Path(__file__).resolve().parents[3] / "docs" / "operations" / "configuration.md"


def test_the_page_is_generated_from_the_tree() -> None:
    assert PAGE.read_text() == render(), (
        "run: python -m signaling.config.page > docs/operations/configuration.md"
    )


def test_every_key_is_documented_where_it_is_defined() -> None:
    for name, kind in get_type_hints(Config).items():
        if not (isinstance(kind, type) and issubclass(kind, Section)):
            continue
        assert kind.__doc__, name
        hints = get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            assert _describe(hints[field.name])[1], f"{name}.{field.name}"
