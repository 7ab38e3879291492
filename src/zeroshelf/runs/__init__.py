"""Runs on the disk: their records, what was asked, and how one is opened again."""
