"""Set up: lines and zones drawn on a still, the configuration that they give, and the results of `check`."""
