"""The gate: from true counts to what may leave the box."""
