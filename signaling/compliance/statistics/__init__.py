"""Figures of an installation that say nothing of anybody."""
