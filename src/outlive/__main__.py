"""`python -m outlive`: the command line."""

from outlive.cli import main

main()
