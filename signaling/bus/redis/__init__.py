"""The bus between servers: Redis 6.2 or later, over TLS, as an ACL user of its own.

`connect` opens, `scripts` is what runs inside Redis, `reader` the one subscribed connection,
`sender` publishes beside everybody's path, `bus` puts them together. Losing all of it loses
nothing.
"""

from signaling.bus.redis.bus import RedisBus

__all__ = ["RedisBus"]
