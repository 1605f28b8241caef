"""What networks that were trained elsewhere know of an age, asked so that nothing is said by heart."""
