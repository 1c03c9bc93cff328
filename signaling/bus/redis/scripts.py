"""What runs inside Redis, with Redis's own clock, so that servers' clocks do not matter.

The first is `gcra.gcra` in whole microseconds; a test compares the two.
"""

from __future__ import annotations

# KEYS[1]; ARGV: interval in us, burst, cost -> allowed, remaining, retry after, reset after (us).
LIMIT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local after = arrival + cost * interval
local wait = after - burst * interval - now
if wait > 0.5 then
  local left = math.max(0, math.floor(burst - (arrival - now) / interval + 0.000001))
  return {0, left, math.ceil(wait), math.ceil(arrival - now)}
end
redis.call('SET', KEYS[1], string.format('%.3f', after), 'PX', math.ceil((after - now) / 1000) + 1)
local left = math.max(0, math.floor(burst - (after - now) / interval + 0.000001))
return {1, left, 0, math.ceil(after - now)}
"""

# KEYS[1]; ARGV: member, milliseconds (0 removes).
PRESENT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if tonumber(ARGV[2]) <= 0 then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIRE', KEYS[1], math.ceil(last[2] - now) + 1)
return 1
"""

# KEYS[1] -> members.
PRESENCES = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
"""
