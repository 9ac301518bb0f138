"""Operators in pure PyTorch: resampling and modulated convolution. No compiled extension."""
