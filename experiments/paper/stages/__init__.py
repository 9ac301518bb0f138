"""Stages that serve the paper alone."""
