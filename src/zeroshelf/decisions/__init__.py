"""Vectors and labels -> scores -> a label or "other" for every picture."""
