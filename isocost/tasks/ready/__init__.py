"""Ready-made tasks, a module per benchmark, found by isocost.tasks.ready_made."""
