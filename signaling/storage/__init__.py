"""What is kept, behind ports: metadata, the op log of each room, sealed blobs.

`port` is the contract, `table` the typed way to use it, `memory`, `embedded` and `mongo` the
adapters, `open` the factory. Nothing above knows which adapter runs.
"""
