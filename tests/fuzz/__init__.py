"""What parses input from outside, fed with anything: see `targets`."""
