"""Stages: each one library call, from parameters and paths to paths. No stage knows who starts it."""

from ui2i.waiting import wait_briefly

wait_briefly()  # before anything imports torch, which reads it
