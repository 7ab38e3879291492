"""Corrections by the user: stored, followed, and adapted to (few-shot)."""
