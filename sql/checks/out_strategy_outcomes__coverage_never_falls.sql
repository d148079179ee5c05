-- pass@k over the same problems never falls as k grows.

SELECT point_id, parameters, budget, accuracy, accuracy_before
FROM (
    SELECT
        point_id,
        parameters,
        budget,
        accuracy,
        lag(accuracy) OVER (PARTITION BY point_id, parameters, n_problems ORDER BY budget) AS accuracy_before
    FROM out_strategy_outcomes
    WHERE strategy = 'pass_at_k' AND accuracy IS NOT NULL
)
WHERE accuracy < accuracy_before - 1e-9
ORDER BY point_id, parameters, budget
