"""StyleGAN2's networks: `generator`, `discriminator`, and the `layers` of both."""
