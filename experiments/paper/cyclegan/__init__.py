"""CycleGAN (Zhu et al. 2017, arXiv 1703.10593), written from the paper: the baseline of Table II."""
