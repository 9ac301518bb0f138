"""Prefect flows over the stages, and the `ui2i` command: order, retries, limits, artifacts, and what people see."""

from ui2i.waiting import wait_briefly

wait_briefly()  # before anything imports torch, which reads it
