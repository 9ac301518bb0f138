"""Operators in pure PyTorch: convolution, resampling and modulation. No compiled extension."""
