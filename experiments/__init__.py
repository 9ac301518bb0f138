"""Everything that serves one paper: domains drawn by a program, tables, figures, claims. The product needs none."""
