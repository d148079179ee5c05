"""Ready-made tasks, a module for each or for those of one benchmark, found by isocost.tasks.ready_made."""
