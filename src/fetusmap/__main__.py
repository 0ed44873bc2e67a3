"""`python -m fetusmap` is the `fetusmap` command."""

from fetusmap.cli.main import main

if __name__ == "__main__":
    main()
