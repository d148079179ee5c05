"""How the tables run: definitions, jobs, schedules, sensors, automation and checks.

Also sweep files and instance profiles.

The asset bodies are in ``assets``, everything they compute in ``isocost``.
"""
