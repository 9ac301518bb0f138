"""Checkpoints of other tools, in and out, without running anything that a file contains."""
