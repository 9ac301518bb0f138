"""Several trainings of the same models, paired by seed, and what their differences say (Table I, FT and FC-FT)."""
