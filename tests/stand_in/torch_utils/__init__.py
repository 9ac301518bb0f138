"""Stands in for the package of this name in NVIDIA's code."""
