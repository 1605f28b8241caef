"""From labelled faces to the model bundle that the boxes run."""
