-- No outcome costs less than nothing, on any axis.

SELECT outcome_id
FROM out_strategy_outcomes
WHERE least(
    samples_per_problem,
    output_tokens_per_problem,
    prompt_tokens_per_problem,
    prompt_tokens_unshared_per_problem,
    flops_per_problem,
    kinetics_eflops_per_problem,
    kv_traffic_bytes_per_problem,
    weight_traffic_bytes_per_problem,
    device_s_per_problem,
    energy_j_per_problem,
    cost_usd_per_problem,
    latency_sequential_s_per_problem,
    latency_parallel_s_per_problem
) < 0
ORDER BY outcome_id
