-- An outcome's accuracy is the mean over the problems that it counts.

SELECT outcome_id, n_problems, counted, accuracy, mean_accuracy
FROM out_strategy_outcomes
LEFT JOIN (
    SELECT outcome_id, count(accuracy) AS counted, avg(accuracy ORDER BY problem_id) AS mean_accuracy
    FROM out_strategy_problems
    GROUP BY outcome_id
) USING (outcome_id)
WHERE n_problems <> coalesce(counted, 0) OR abs(accuracy - mean_accuracy) > 1e-9 OR (accuracy IS NULL) <> (mean_accuracy IS NULL)
ORDER BY outcome_id
