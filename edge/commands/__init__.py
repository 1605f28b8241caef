"""The commands of `instore-edge`, one file each, the parser beside its command."""
