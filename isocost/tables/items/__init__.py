"""Builders of item statistics, response features and repeated measurements."""
