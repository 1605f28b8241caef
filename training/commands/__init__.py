"""The commands of `instore-training`: one file a command, its options beside it."""
