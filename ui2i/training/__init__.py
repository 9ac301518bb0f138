"""Training of StyleGAN2 from scratch and by fine-tuning: `state` holds it, `step` advances it, `loop` runs it."""
