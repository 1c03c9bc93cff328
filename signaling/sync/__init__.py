"""The sync socket: its door, its frames, and what is told apart on it. Chat adds its messages."""
