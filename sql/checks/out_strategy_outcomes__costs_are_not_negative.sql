-- No outcome has a negative cost, on any axis.

SELECT outcome_id
FROM out_strategy_outcomes
WHERE least({{ outcome_costs }}) < 0
ORDER BY outcome_id
