-- Every measured point of a curve is an outcome in out_strategy_outcomes.

SELECT curve_id, point_index, outcome_id
FROM out_scaling_points
ANTI JOIN out_strategy_outcomes USING (outcome_id)
WHERE point_kind = 'measured'
ORDER BY curve_id, point_index
