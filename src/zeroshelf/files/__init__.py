"""What files are called, where they lie, how they move, and what is written down about it."""
