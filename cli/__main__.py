"""`python -m cli` is `upscale-bench`."""

from cli import main

main()
