"""`python -m sknic.cli`."""

from sknic.cli.app import main

main()
