"""`python -m scratchnn` is `scratchnn`."""

import sys

from scratchnn_command import main

sys.exit(main())
