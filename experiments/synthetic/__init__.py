"""Synthetic domains: images drawn by a program, so that their true counterparts are known."""
