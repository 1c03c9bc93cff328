"""WHIP (RFC 9725) and WHEP.

One HTTP offer in, one answer out, an ordinary participant behind it.
"""

from signaling.whip.routes import Whip

__all__ = ["Whip"]
