"""Metrics: the model distance of Eq. 1, and SSIM."""
