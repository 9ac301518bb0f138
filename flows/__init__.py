"""Prefect flows over the stages, and the `ui2i` command: order, retries, limits, artifacts, and what people see."""
