"""Datasets: `procedural` draws pictures, `ingest` prepares any pictures, `prepared` reads them for training."""
