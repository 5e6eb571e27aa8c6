"""`python -m scratchnn` is `scratchnn`."""

import sys

from scratchnn.run.cli import main

sys.exit(main())
