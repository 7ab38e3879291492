"""A folder that stays sorted: what arrives in it is sorted as soon as it has arrived whole.

Events of the file system are hints that wake the loop early; a walk over the folder decides. All
pictures that are ready become one run, with a record, a journal and an undo like any other.
"""
