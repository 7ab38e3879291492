"""The review page: a run and its edits, served to this machine's browser alone.

session   the run under its edits: what every picture's shelf is now (no web in it)
lessons   what the marks would change, and whom to ask
carrying  apply and undo with progress
guard     who may ask at all: host, origin, token
app       addresses -> the four above
"""
