"""Names of the networks' files in the folder of a model."""

GENERATOR_FILE = "generator.safetensors"
DISCRIMINATOR_FILE = "discriminator.safetensors"
ENCODER_FILE = "encoder.safetensors"
TRANSLATOR_FILE = "translator.safetensors"
DOMAIN_CHECK_FILE = "domain_check.safetensors"
