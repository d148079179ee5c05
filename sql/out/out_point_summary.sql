-- What was banked, point by point: counts, validity and means of valid samples, before any strategy.

WITH samples AS (
    -- A sample that two sessions hold is one draw; it is counted once, as everywhere else.
    SELECT
        DISTINCT ON (sample_id) *,
        -- Partial credit is worth its score: it has no verdict.
        coalesce(correct::INTEGER::DOUBLE, CASE WHEN score > 0 AND score < 1 THEN score END) AS worth
    FROM core_samples
    ORDER BY sample_id, session_id
),
problems AS (
    SELECT
        point_id,
        problem_id,
        count(*) FILTER (is_valid) AS n_valid,
        avg(worth) FILTER (is_valid) AS correct_share
    FROM samples
    GROUP BY point_id, problem_id
    UNION ALL
    SELECT point_id, problem_id, sum(n_samples) AS n_valid, sum(n_correct) / nullif(sum(n_samples), 0) AS correct_share
    FROM core_counts
    GROUP BY point_id, problem_id
),
by_problem AS (
    SELECT
        point_id,
        count(*)::INTEGER AS n_problems,
        min(n_valid)::INTEGER AS samples_per_problem_min,
        max(n_valid)::INTEGER AS samples_per_problem_max,
        avg(correct_share ORDER BY problem_id) AS accuracy
    FROM problems
    GROUP BY point_id
),
reasons AS (
    SELECT point_id, reason, count(*) AS n
    FROM (SELECT point_id, unnest(invalid_reasons) AS reason FROM samples WHERE NOT is_valid)
    GROUP BY point_id, reason
),
by_reason AS (
    SELECT point_id, '{' || string_agg(to_json(reason) || ':' || n, ',' ORDER BY reason) || '}' AS invalid_counts
    FROM reasons
    GROUP BY point_id
),
by_point AS (
    SELECT
        point_id,
        min(task) AS task,
        min(model_variant) AS model_variant,
        min(prompt) AS prompt,
        count(*) AS samples_total,
        count(*) FILTER (is_valid) AS samples_valid,
        count(*) FILTER (NOT is_valid) AS samples_invalid,
        count(worth) FILTER (is_valid) AS samples_graded,
        count(*) FILTER (is_valid AND correct) AS samples_correct,
        count(worth) FILTER (is_valid AND correct IS NULL) AS samples_partial,
        -- What an imported source does not tell is unknown, not none.
        CASE WHEN count(*) FILTER (is_valid AND is_truncated IS NULL) = 0
            THEN count(*) FILTER (is_valid AND is_truncated) END AS samples_truncated,
        CASE WHEN count(*) FILTER (is_valid AND parse_status = 'error') = 0
            THEN count(*) FILTER (is_valid AND parse_status <> 'parsed') END AS samples_without_answer,
        avg(prompt_tokens) FILTER (is_valid) AS prompt_tokens_per_sample,
        avg(output_tokens) FILTER (is_valid) AS output_tokens_per_sample,
        quantile_cont(output_tokens, 0.95) FILTER (is_valid) AS output_tokens_per_sample_p95,
        sum(output_tokens)::BIGINT AS output_tokens_sum,
        -- Seconds and joules of unlike machines, and joules of unlike methods, have no common mean.
        CASE WHEN count(DISTINCT coalesce(machine, '')) FILTER (is_valid AND latency_s IS NOT NULL) = 1
            THEN avg(latency_s ORDER BY sample_id) FILTER (is_valid) END AS latency_s_per_sample,
        sum(output_tokens - 1) FILTER (is_valid AND decode_s > 0)
            / nullif(sum(decode_s ORDER BY sample_id) FILTER (is_valid AND decode_s > 0), 0) AS decode_tokens_per_s,
        avg(flops ORDER BY sample_id) FILTER (is_valid) AS flops_per_sample,
        count(energy_j) FILTER (is_valid) AS samples_with_energy,
        CASE WHEN count(DISTINCT (energy_method, coalesce(machine, ''))) FILTER (is_valid AND energy_j IS NOT NULL) = 1
            THEN avg(energy_j ORDER BY sample_id) FILTER (is_valid) END AS energy_j_per_sample,
        CASE WHEN count(DISTINCT (energy_method, coalesce(machine, ''))) FILTER (is_valid AND energy_j IS NOT NULL) = 1
            THEN min(energy_method) FILTER (is_valid AND energy_j IS NOT NULL) END AS energy_method,
        mode(energy_unknown_reason ORDER BY energy_unknown_reason) FILTER (is_valid AND energy_j IS NULL) AS energy_unknown_reason
    FROM samples
    GROUP BY point_id
    UNION ALL BY NAME
    -- Counts tell nothing of any one sample.
    SELECT
        point_id,
        min(task) AS task,
        min(model_variant) AS model_variant,
        min(prompt) AS prompt,
        sum(n_samples)::BIGINT AS samples_total,
        sum(n_samples)::BIGINT AS samples_valid,
        0 AS samples_invalid,
        sum(n_samples)::BIGINT AS samples_graded,
        sum(n_correct)::BIGINT AS samples_correct,
        0 AS samples_partial,
        0 AS samples_with_energy,
        'not_in_source' AS energy_unknown_reason
    FROM core_counts
    GROUP BY point_id
)
SELECT
    point_id,
    task,
    model_variant,
    prompt,
    n_problems,
    samples_total,
    samples_valid,
    samples_invalid,
    samples_graded,
    samples_correct,
    samples_partial,
    samples_truncated,
    samples_without_answer,
    coalesce(invalid_counts, '{}') AS invalid_counts,
    samples_per_problem_min,
    samples_per_problem_max,
    accuracy,
    samples_valid / nullif(samples_total, 0) AS valid_ratio,
    samples_truncated / nullif(samples_valid, 0) AS truncated_ratio,
    samples_without_answer / nullif(samples_valid, 0) AS unanswered_ratio,
    prompt_tokens_per_sample,
    output_tokens_per_sample,
    output_tokens_per_sample_p95,
    output_tokens_sum,
    latency_s_per_sample,
    decode_tokens_per_s,
    flops_per_sample,
    samples_with_energy,
    energy_j_per_sample,
    energy_method,
    energy_unknown_reason
FROM by_point
JOIN by_problem USING (point_id)
LEFT JOIN by_reason USING (point_id)
ORDER BY task, model_variant, prompt, point_id
