"""Live sources: network cameras, and the cameras of this machine."""
