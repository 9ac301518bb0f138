"""Stages: each one library call, from parameters and paths to paths. No stage knows who starts it."""
