"""Entry point of the frozen `tally`."""

from start import start

from gui.cli import main

if __name__ == "__main__":
    start(main)
