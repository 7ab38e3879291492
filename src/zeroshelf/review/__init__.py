"""The review page: a run and its edits, served only to this machine's browser.

session      a run and its edits: on which shelf every picture is now (no web code)
suggestions  what the corrections suggest, and which pictures to correct next
jobs         apply and undo with progress
notes        which notes of the run were put away
one_picture  where a picture's file is, and what is known about it
alike        near-duplicates side by side
consequences what an apply would mean
photo_filter when, with what and where all pictures were taken
access       which requests are answered: host, origin, token
app          addresses -> all of the above
"""
