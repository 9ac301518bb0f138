"""Datasets: `procedural` draws images, `ingest` prepares any images, `prepared` reads them for training."""
