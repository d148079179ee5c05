"""``python -m isocost.bank``."""

from isocost.bank.cli import main

raise SystemExit(main())
