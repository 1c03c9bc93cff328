"""What runs in the worker process, apart from the server: readers of pictures, films and archives.

Nothing here is imported by the server but `job` (the messages) and `pool` (which starts workers).
"""
