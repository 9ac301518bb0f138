"""A project that reproduces the paper, and its page of results."""
