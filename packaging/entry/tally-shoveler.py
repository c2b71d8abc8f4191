"""Entry point of the frozen `tally-shoveler`."""

import multiprocessing
import sys

from shoveler.cli import main

if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main())
