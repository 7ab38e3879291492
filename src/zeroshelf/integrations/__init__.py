"""What hands the decisions of a run to another program while that is running, and takes them back.

Formats that other programs read from a file are in `output/export`.
"""
