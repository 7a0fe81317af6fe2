"""`python -m harness` is `tunebench`."""

import sys

from harness.cli import main

sys.exit(main())
