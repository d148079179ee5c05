-- What do the next 1,000 generated tokens buy? Majority voting from one budget to the next: percentage points gained, in total and per
-- 1,000 more tokens per problem.

SELECT
    task,
    configuration_of(point_ids) AS configuration,
    lag(budget) OVER steps AS from_samples,
    budget AS to_samples,
    round(100 * (accuracy - lag(accuracy) OVER steps), 2) AS points_gained,
    round(output_tokens_per_problem - lag(output_tokens_per_problem) OVER steps, 1) AS more_tokens,
    round(
        100 * (accuracy - lag(accuracy) OVER steps)
        / nullif((output_tokens_per_problem - lag(output_tokens_per_problem) OVER steps) / 1000, 0),
        2
    ) AS points_per_1000_tokens
FROM out_strategy_outcomes
WHERE strategy = 'majority_at_k' AND n_problems_undefined = 0
WINDOW steps AS (PARTITION BY point_id, parameters ORDER BY budget)
QUALIFY from_samples IS NOT NULL
ORDER BY task, configuration, to_samples
