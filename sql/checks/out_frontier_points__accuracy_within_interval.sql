-- An accuracy is within its own interval, a probability within 0 and 1.

SELECT task, frontier_kind, cost_axis, outcome_id, accuracy_low, accuracy, accuracy_high, frontier_probability
FROM out_frontier_points
WHERE accuracy < accuracy_low - 1e-9
    OR accuracy > accuracy_high + 1e-9
    OR frontier_probability NOT BETWEEN 0 AND 1
ORDER BY task, frontier_kind, cost_axis, outcome_id
