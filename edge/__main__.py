"""`python -m edge` is `instore-edge`."""

import sys

from edge.cli import main

sys.exit(main())
