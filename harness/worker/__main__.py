"""`python -m harness.worker FD` does one job: see `main`."""

import sys

from harness.worker.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
