"""Engines: what turns a prompt into tokens, and the models the project makes itself."""
