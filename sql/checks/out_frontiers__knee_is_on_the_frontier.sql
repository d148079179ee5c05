-- A knee is a point of its frontier; a frontier without a knee has a reason.

SELECT task, frontier_kind, quality_measure, cost_axis, knee_outcome_id, knee_reason
FROM out_frontiers AS frontiers
WHERE (knee_outcome_id IS NULL) <> (knee_reason IS NOT NULL)
    OR (
        knee_outcome_id IS NOT NULL
        AND NOT EXISTS (
            FROM out_frontier_points AS points
            WHERE points.task = frontiers.task
                AND points.frontier_kind = frontiers.frontier_kind
                AND points.quality_measure = frontiers.quality_measure
                AND points.cost_axis = frontiers.cost_axis
                AND points.outcome_id = frontiers.knee_outcome_id
                AND points.is_on_frontier
        )
    )
ORDER BY task, frontier_kind, quality_measure, cost_axis
