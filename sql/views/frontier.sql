-- The frontier of every task and cost axis among what can be run as it is, cheapest first, without the columns that only an auditor
-- needs.

SELECT
    task,
    cost_axis,
    model_variant,
    prompt,
    strategy,
    budget,
    cost,
    cost_unit,
    accuracy,
    accuracy_low,
    accuracy_high,
    frontier_probability,
    bool_or(is_knee) OVER equal AS is_knee,
    outcome_id
FROM out_frontier_points
WHERE frontier_kind = 'policy' AND is_on_frontier
WINDOW equal AS (PARTITION BY task, quality_measure, cost_axis, duplicate_of_outcome_id)
-- Equal outcomes, such as every strategy of one sample, are one step, called after the strategy that most people know.
QUALIFY row_number() OVER (
    PARTITION BY task, quality_measure, cost_axis, duplicate_of_outcome_id
    ORDER BY NOT starts_with(strategy, 'majority'), NOT starts_with(strategy, 'best_of'), strategy, outcome_id
) = 1
ORDER BY task, cost_axis, cost
