"""Networks that no maintained library has, written for this project from their papers and the names in their published weights.

Each module imports torch: import it where a network is built, never where one is declared.
"""
