"""``python -m attribune`` is the same as ``attribune``."""

from attribune.cli import main

if __name__ == "__main__":
    main()
