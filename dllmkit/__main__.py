"""`python -m dllmkit` is the command `dllmkit`."""

from dllmkit.cli import main

if __name__ == "__main__":
    main()
