"""How the tables run: definitions, jobs, schedules, sensors, automation, checks, sweep files and
instance profiles.

The asset bodies are in ``assets``, everything they compute in ``isocost``.
"""
