"""The table definitions, one module a topic; each has a constant ``TABLES``."""
