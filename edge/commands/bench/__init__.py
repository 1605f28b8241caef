"""The benchmark of the stages: `bench`."""
