-- A crossover is known or says why not, and is within the range of costs that both curves cover.

SELECT point_id, strategy, majority_point_id, cost_axis, crossover_cost, crossover_unknown_reason
FROM out_method_crossovers
WHERE (crossover_cost IS NULL) <> (crossover_unknown_reason IS NOT NULL)
    OR crossover_cost < common_cost_low * (1 - 1e-9)
    OR crossover_cost > common_cost_high * (1 + 1e-9)
    OR crossover_cost_low > crossover_cost_high
ORDER BY point_id, strategy, majority_point_id, cost_axis
