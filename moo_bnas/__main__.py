"""`python -m moo_bnas`."""

from moo_bnas.cli import main

if __name__ == "__main__":
    main()
