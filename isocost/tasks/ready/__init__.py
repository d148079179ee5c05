"""Ready-made tasks, one module each, found by isocost.tasks.ready_made."""
