"""Domains drawn by a program, whose true counterparts are known."""
