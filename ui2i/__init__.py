"""Unpaired image-to-image translation by fine-tuning a pretrained StyleGAN2 (Huang et al., arXiv 2010.05713)."""

__version__ = "0.2.0"
