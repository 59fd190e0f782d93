"""`python -m source_backlog.sync` does what the console script `backlog-sync` does."""

import sys

from source_backlog.sync.command import main

sys.exit(main())
