"""Noise: the sampler, the budget that it spends, and the numbers that carry it."""
