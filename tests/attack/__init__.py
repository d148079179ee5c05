"""Attacks on Isocost: seeded tries that damage, kill or feed it lies, and what it made of each.

``python -m tests.attack --minutes 60`` attacks for an hour and writes the table; ``python -m tests.attack --only "bits/raw part/17"``
repeats one try. ``test_attack.py`` draws a small sample of every kind.

A try is named ``kind/target/seed`` and is determined by that name. Kinds are in ``kinds/``, one module each; what counts as survival is in
``outcomes``, the undisturbed data root that is attacked and what is published from it in ``ground``. The code under attack is whichever
``isocost`` is imported first, and is reached through its command lines, so that the same attack runs against an earlier version.
"""
