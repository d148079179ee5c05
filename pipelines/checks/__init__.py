"""What must hold before anybody builds on a table.

``schema`` holds each table to its definition, ``gx`` and ``suites`` hold samples and sessions to Great Expectations suites, ``sql``
runs the queries of ``sql/checks`` that must return no row. Every number that a rule compares with is in ``thresholds``.
"""
