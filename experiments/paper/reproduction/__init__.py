"""A project that reproduces the paper, and the page of what it found."""
