"""Not yet."""

WHAT, TARGETS, SHARE, SAMPLE, LIMIT_S = "x", ("x",), 0, 0, 60
