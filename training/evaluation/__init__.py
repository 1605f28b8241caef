"""What a model bundle is worth: figures on labelled faces, with their uncertainty, as a page and as JSON."""
