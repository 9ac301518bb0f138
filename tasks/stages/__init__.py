"""One module a stage of `dvc.yaml`, each run as `python -m tasks.stages.<module>`."""
