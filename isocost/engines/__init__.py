"""Engines, which turn prompts into tokens, and the models that the project builds itself."""
