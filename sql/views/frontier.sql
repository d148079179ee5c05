-- The policy frontier of every task, mean over tasks and cost axis, cheapest first, without columns for auditing. Task, cost axis,
-- configuration, strategy, budget and parameters together identify a row: configuration is the shortest unique name within a task, all
-- settings of a point are in the view points.

WITH named AS (
    SELECT *, plain_strategy(strategy, budget) AS plain_name
    FROM out_frontier_points
    WHERE frontier_kind = 'policy' AND is_on_frontier
)
SELECT
    task,
    cost_axis,
    configuration,
    plain_name AS strategy,
    budget,
    cost,
    cost_unit,
    accuracy,
    accuracy_low,
    accuracy_high,
    frontier_probability,
    bool_or(is_knee) OVER equal AS is_knee,
    n_problems,
    tasks,
    model_variant,
    prompt,
    parameters,
    point_id,
    outcome_id
FROM named
WINDOW equal AS (PARTITION BY task, quality_measure, cost_axis, duplicate_of_outcome_id)
-- Equal outcomes, such as every strategy of one sample, are one step, named after the best-known strategy.
QUALIFY row_number() OVER (
    PARTITION BY task, quality_measure, cost_axis, duplicate_of_outcome_id
    ORDER BY
        plain_name <> 'one_sample',
        NOT starts_with(strategy, 'majority'),
        NOT starts_with(strategy, 'best_of'),
        strategy,
        outcome_id
) = 1
ORDER BY task, cost_axis, cost, outcome_id
