"""Builders of the core and out tables: frames in, frames out.

They combine several packages. No reading or writing of files here (``isocost.build.refresh`` does
that) and no Dagster.
"""
