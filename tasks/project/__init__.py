"""A project: where its files lie, what its `params.yaml` says, and how new names enter it."""
