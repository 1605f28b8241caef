"""Age estimates of the training pictures from networks trained elsewhere, made by cross-fitting."""
