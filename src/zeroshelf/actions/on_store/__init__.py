"""A plan within an object store: copies that the store makes by itself, and their undo."""
