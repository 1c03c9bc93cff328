"""The composition root in parts: each module makes what one subject needs and wires it together.

Only `signaling.app` and the commands import from here; nothing below does.
"""
