"""Processes: the host that owns all models, the processes that they live in, and the engine that talks to the host."""
