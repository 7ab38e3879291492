"""The review page: a run and its edits, served only to this machine's browser.

session      a run and its edits: on which shelf every picture is now (no web code)
suggestions  what the corrections suggest, and which pictures to correct next
jobs         apply and undo with progress
access       which requests are answered: host, origin, token
app          addresses -> the four above
"""
