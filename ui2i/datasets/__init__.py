"""Datasets: `ingest` prepares any images, `prepared` reads them for training."""
