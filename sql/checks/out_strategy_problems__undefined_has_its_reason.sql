-- An accuracy is NULL exactly where a reason says why.

SELECT outcome_id, problem_id, accuracy, undefined_reason
FROM out_strategy_problems
WHERE (accuracy IS NULL) <> (undefined_reason IS NOT NULL)
ORDER BY outcome_id, problem_id
