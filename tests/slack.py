"""What a test adds to a promise in seconds when it asks real processes with the real clock."""

# On two cores that others use too, a process may wait so long for its turn. What is promised for a
# second and does not come by itself takes a poll, a time-out or a retry: longer, or it never comes.
SLACK = 4.0
