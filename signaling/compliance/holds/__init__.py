"""Legal holds: what somebody must keep stays, whatever else would remove it."""
