"""One module a family of commands; each imports what is heavy when it runs."""
