"""The baselines of Table II, written from their papers: CycleGAN, MUNIT and DRIT++."""
