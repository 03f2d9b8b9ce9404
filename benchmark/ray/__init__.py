"""Dataset runs on a Ray cluster: the actors that hold models, the pool that the driver sees, and what is sent to the nodes."""
