"""Tables about judges.

Lives here: agreement with gold labels, position bias, cost and ability (``agreement``). Not here:
what judges said (``isocost.tables.core.judged``), the statistics (``isocost.items``).
"""
