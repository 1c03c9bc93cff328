"""One frozen configuration tree, where it comes from, and the rules that hold between its keys."""

from signaling.config.load import load
from signaling.config.rules import check_production, parse_address
from signaling.config.tree import (
    DEV_KEY,
    DEV_SECRET,
    Calls,
    Config,
    Http,
    Limits,
    Log,
    Media,
    Operator,
    Process,
    Tls,
    Turn,
    Webhooks,
)
from signaling.secret import Secret

__all__ = [
    "DEV_KEY",
    "DEV_SECRET",
    "Calls",
    "Config",
    "Http",
    "Limits",
    "Log",
    "Media",
    "Operator",
    "Process",
    "Secret",
    "Tls",
    "Turn",
    "Webhooks",
    "check_production",
    "load",
    "parse_address",
]
