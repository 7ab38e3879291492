"""A folder of files -> pictures -> pixels."""
