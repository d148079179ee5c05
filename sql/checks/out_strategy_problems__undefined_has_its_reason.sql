-- An accuracy is NULL if and only if there is a reason.

SELECT outcome_id, problem_id, accuracy, undefined_reason
FROM out_strategy_problems
WHERE (accuracy IS NULL) <> (undefined_reason IS NOT NULL)
ORDER BY outcome_id, problem_id
