"""Builders of the core and out tables: frames in, frames out.

They join what several rooms compute. No reading or writing of files here (``isocost.build.refresh``
does that) and no Dagster.
"""
