"""From crops and ended tracks to visits, from visits to windows: the true counts, in memory."""
