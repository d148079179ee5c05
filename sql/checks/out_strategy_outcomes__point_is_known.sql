-- Every outcome is replayed from measured configurations in core_points.

SELECT outcome_id, replayed_point_id
FROM (SELECT outcome_id, unnest(point_ids) AS replayed_point_id FROM out_strategy_outcomes)
ANTI JOIN (SELECT point_id AS replayed_point_id FROM core_points) USING (replayed_point_id)
ORDER BY outcome_id, replayed_point_id
