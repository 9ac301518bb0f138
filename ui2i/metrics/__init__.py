"""Metrics: model distance (Eq. 1), fidelity, diversity and similarity of outputs (Table II), SSIM, drift."""
