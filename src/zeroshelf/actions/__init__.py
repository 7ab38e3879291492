"""Decisions -> a plan -> files copied, moved, linked or tagged, and put back."""
