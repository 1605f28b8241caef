"""Measurements that are kept: `make bench` for speed and memory, `bench/trackers.py` for the tracker."""
