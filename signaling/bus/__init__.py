"""Hints between processes: `port` is the contract, `local` and `redis` the adapters.

The store is the truth. Losing every message of the bus loses nothing and slows delivery to the
interval at which heads are polled (`polling`).
"""
