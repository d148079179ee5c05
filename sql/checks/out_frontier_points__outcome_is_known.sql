-- Every point of a frontier consists of outcomes in out_strategy_outcomes.

SELECT DISTINCT task, outcome_id, member_id
FROM (SELECT task, outcome_id, unnest(member_outcome_ids) AS member_id FROM out_frontier_points)
ANTI JOIN (SELECT outcome_id AS member_id FROM out_strategy_outcomes) USING (member_id)
ORDER BY task, outcome_id, member_id
