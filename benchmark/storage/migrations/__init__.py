"""Changes of the store's tables, in order. `versions/` has a file for each; they are never edited once released."""
