"""What a folder of translations holds, for those who read one without loading what makes it (`ui2i.translation`)."""

MANIFEST_NAME = "manifest.parquet"
LATENTS_NAME = "latents.parquet"
LEFT_OUT_NAME = "left-out.json"
SHEET_NAME = "contact_sheet.png"
MAX_SHEET_ROWS = 24
MIN_CELL_SIZE = 128  # pixels of an image on the sheet, smaller ones are enlarged

RECONSTRUCTION = "reconstruction"
"""The variant of the base's own images of the inputs."""
