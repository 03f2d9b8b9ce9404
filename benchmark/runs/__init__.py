"""Dataset runs: the frozen plan, the cells, the course of a run from its first step to its last, and what is shown of it meanwhile."""
