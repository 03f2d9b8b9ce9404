"""Everything between a picture and a row of results: degradation, plans, worker processes, timing, scores and stored comparisons."""
