"""The background services: a Prefect server, a worker, and what protects them."""
