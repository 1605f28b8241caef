"""The running daemon: threads, the queue between them, reload, and one daemon for each state."""
