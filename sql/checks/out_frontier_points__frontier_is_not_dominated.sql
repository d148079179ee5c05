-- The frontier has exactly the outcomes that no other outcome dominates (costs no more, is as accurate and is better in one).

SELECT task, frontier_kind, quality_measure, cost_axis, outcome_id, cost, accuracy, is_on_frontier
FROM (
    SELECT
        *,
        max(accuracy) OVER (
            PARTITION BY task, frontier_kind, quality_measure, cost_axis
            ORDER BY cost RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP
        ) AS best_cheaper,
        max(accuracy) OVER (PARTITION BY task, frontier_kind, quality_measure, cost_axis, cost) AS best_equal
    FROM out_frontier_points
)
-- A tie within rounding may go either way.
WHERE (is_on_frontier AND (best_cheaper > accuracy + 1e-9 OR best_equal > accuracy + 1e-9))
    OR (NOT is_on_frontier AND coalesce(best_cheaper < accuracy - 1e-9, true) AND best_equal <= accuracy)
ORDER BY task, frontier_kind, quality_measure, cost_axis, cost, outcome_id
