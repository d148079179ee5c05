"""Published results of other projects, imported with mapping files, and their figures.

Next to ours.
"""
