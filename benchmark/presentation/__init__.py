"""What a comparison looks like to people, the same on the page and in a saved report: the table, the viewer, words and numbers."""
