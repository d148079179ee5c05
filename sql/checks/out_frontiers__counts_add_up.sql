-- Compared and excluded outcomes are all outcomes, and every compared one is a row of out_frontier_points.

SELECT task, frontier_kind, quality_measure, cost_axis, n_outcomes, n_included, n_excluded_unknown_accuracy, n_excluded_other_problems,
    n_excluded_unknown_cost, n_rows
FROM out_frontiers
LEFT JOIN (
    SELECT task, frontier_kind, quality_measure, cost_axis, count(*) AS n_rows
    FROM out_frontier_points
    GROUP BY task, frontier_kind, quality_measure, cost_axis
) USING (task, frontier_kind, quality_measure, cost_axis)
WHERE n_included + n_excluded_unknown_accuracy + n_excluded_other_problems + n_excluded_unknown_cost <> n_outcomes
    OR n_included <> coalesce(n_rows, 0)
ORDER BY task, frontier_kind, quality_measure, cost_axis
