"""A file's bytes -> a picture that can be decoded; one module a family of formats."""
