"""python -m ragdesk ..."""

import sys

from .cli import main

sys.exit(main())
