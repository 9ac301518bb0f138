"""The parts of `ui2i.datasets.ingest`, one idea a file."""
