"""Measurements on request that serve a choice of the paper."""
