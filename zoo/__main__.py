"""`python -m zoo`, which torchrun needs."""

from zoo.cli import main

main()
