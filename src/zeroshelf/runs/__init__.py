"""Runs on disk: their records, their requests and edits, and how one is reopened."""
