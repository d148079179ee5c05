-- Every row belongs to an outcome in out_strategy_outcomes.

SELECT DISTINCT outcome_id
FROM out_strategy_problems
ANTI JOIN out_strategy_outcomes USING (outcome_id)
ORDER BY outcome_id
