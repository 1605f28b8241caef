"""The cameras of a running daemon: each with a capturing and a vision thread."""
