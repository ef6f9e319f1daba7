"""`python -m aiodicom`: the command line without its script."""

from aiodicom.cli import main

# Worker processes import this module again, under another name.
if __name__ == "__main__":
    main()
