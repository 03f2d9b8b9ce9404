"""The store: one SQLite database of all results of dataset runs and comparisons, its tables and migrations, and the pictures beside it."""
