"""What stays while flows come and go: a Prefect server, a worker, and the doors in front of them."""
