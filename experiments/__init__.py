"""Everything for one paper: synthetic domains, tables, figures, claims. The product works without it."""
