"""Data sets: which pictures belong to one, read from a folder or fetched from a hub."""
