"""What visits of one camera have to do with each other; in memory only."""
