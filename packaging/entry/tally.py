"""Entry point of the frozen `tally`."""

import multiprocessing
import sys

from gui.cli import main

if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main())
