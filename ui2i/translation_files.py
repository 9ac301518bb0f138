"""Names in a folder of translations, for those who read one without loading what makes it (`ui2i.translation`)."""

MANIFEST_NAME = "manifest.parquet"
LATENTS_NAME = "latents.parquet"
LEFT_OUT_NAME = "left-out.json"
SHEET_NAME = "contact_sheet.png"

RECONSTRUCTION = "reconstruction"
"""The variant of the base's own images of the inputs."""
