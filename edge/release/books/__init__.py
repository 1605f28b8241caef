"""What the gate keeps between two windows: of each camera, of the day, of the box."""
