"""The command `python -m moo_bnas`, which equals `moo-bnas`."""

from moo_bnas.cli import main

if __name__ == "__main__":
    main()
