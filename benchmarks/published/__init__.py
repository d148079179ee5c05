"""Published results of other projects, imported in their published form with a mapping file each,
and their figures beside ours.
"""
