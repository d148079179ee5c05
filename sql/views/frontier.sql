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
    is_knee,
    outcome_id
FROM out_frontier_points
WHERE frontier_kind = 'policy' AND is_on_frontier AND outcome_id = duplicate_of_outcome_id
ORDER BY task, cost_axis, cost
