"""Run the command line with `python -m skllkd`."""

import sys

from skllkd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
