"""The inventory of fields lists what is stored, and every kind in it is classified."""

from __future__ import annotations

from signaling.http.api.classification import kinds
from tests.rows.inventory import PAGE, inventory, render


def test_the_field_inventory_is_of_today() -> None:
    assert PAGE.read_text() == render(), "look at what is new, then python -m tests.rows.inventory"


def test_what_is_stored_is_classified_and_the_other_way_round() -> None:
    found, classified = set(inventory()), set(kinds())
    assert found <= classified, found - classified
    # Logs and revocations are no rows.
    assert classified - found <= {"audit", "revoked"}, classified - found
