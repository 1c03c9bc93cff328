"""Puts the model of rooms into the wheel: the server's own files, so that there is one reducer.

They are pure (`docs/decisions/0009-one-reducer.md`); only the name of their package changes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = ("bodies", "ops", "account_ops", "state", "account_state", "reduce")
SOURCE = Path(__file__).resolve().parent.parent / "signaling" / "chat"


class ModelHook(BuildHookInterface[Any]):
    """Runs when a wheel is built from the repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        target = Path(tempfile.mkdtemp(prefix="sotto-model-"))
        names = {"__init__.py": '"""The model of rooms, as the server has it."""\n'}
        for module in MODULES:
            text = (SOURCE / f"{module}.py").read_text()
            names[f"{module}.py"] = text.replace("signaling.chat.", "sotto_client._model.")
        for name, text in names.items():
            (target / name).write_text(text)
            build_data["force_include"][str(target / name)] = f"sotto_client/_model/{name}"
