"""How stages run: under DVC, one at a time or side by side, with locks, costs, progress and signals."""
