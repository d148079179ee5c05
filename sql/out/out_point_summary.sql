-- Planned and banked samples per point: counts, validity and means of valid samples, before any strategy.

WITH samples AS (
    -- A sample in two sessions is one draw; it is counted once, as everywhere else.
    SELECT
        DISTINCT ON (sample_id) *,
        -- Partial credit counts with its score: it has no verdict.
        coalesce(correct::INTEGER::DOUBLE, CASE WHEN score > 0 AND score < 1 THEN score END) AS worth
    FROM core_samples
    ORDER BY sample_id, session_id
),
problems AS (
    SELECT
        point_id,
        problem_id,
        count(*) AS n_banked,
        count(*) FILTER (is_valid) AS n_valid,
        avg(worth) FILTER (is_valid) AS correct_share,
        sum(worth) FILTER (is_valid) AS credit,
        count(worth) FILTER (is_valid) AS n_graded,
        -- A failed attempt that was replaced by a later one does not count, unless there is another reason against the sample.
        count(*) FILTER (
            NOT is_valid AND list_has_all(['failed_in_source', 'engine_error', 'aborted'], invalid_reasons)
        ) AS n_failed
    FROM samples
    GROUP BY point_id, problem_id
    UNION ALL
    SELECT
        point_id,
        problem_id,
        sum(n_samples) AS n_banked,
        sum(n_samples) AS n_valid,
        sum(n_correct) / nullif(sum(n_samples), 0) AS correct_share,
        sum(n_correct) AS credit,
        sum(n_samples) AS n_graded,
        0 AS n_failed
    FROM core_counts
    GROUP BY point_id, problem_id
),
by_problem AS (
    SELECT
        point_id,
        count(*)::INTEGER AS n_problems,
        min(n_valid)::INTEGER AS samples_per_problem_min,
        max(n_valid)::INTEGER AS samples_per_problem_max,
        avg(correct_share ORDER BY problem_id) AS accuracy,
        sum(n_failed)::BIGINT AS samples_failed,
        -- Failed samples were not answered: the lower bound of the accuracy.
        avg(coalesce(credit, 0) / (n_graded + n_failed) ORDER BY problem_id) FILTER (n_graded + n_failed > 0) AS accuracy_failed_wrong
    FROM problems
    GROUP BY point_id
),
asked AS (
    -- The same point in several sessions is one request: the largest number applies, and a sample counts for all sessions that request it.
    SELECT
        asking.point_id,
        asking.session_id,
        any_value(asking.samples_planned) AS samples_planned,
        any_value(asking.samples_planned_per_problem * greatest(asking.n_problems - coalesce(seen.n, 0), 0))
            + coalesce(sum(greatest(asking.samples_planned_per_problem - problems.n_banked, 0)), 0) AS samples_missing
    FROM core_points AS asking
    LEFT JOIN (SELECT point_id, count(*) AS n FROM problems GROUP BY point_id) AS seen USING (point_id)
    LEFT JOIN problems USING (point_id)
    GROUP BY asking.point_id, asking.session_id
),
planned AS (
    SELECT
        point_id,
        count(*)::INTEGER AS n_sessions,
        max(samples_planned)::BIGINT AS samples_planned,
        max(samples_missing)::BIGINT AS samples_missing
    FROM asked
    GROUP BY point_id
),
told AS (
    SELECT
        point_id,
        arg_min(task, session_id) AS task,
        arg_min(model_variant, session_id) AS model_variant,
        arg_min(prompt, session_id) AS prompt,
        coalesce(list(DISTINCT sweep ORDER BY sweep) FILTER (sweep IS NOT NULL), []) AS sweeps
    FROM core_points
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
        -- What an imported source does not state is unknown, not zero.
        CASE WHEN count(*) FILTER (is_valid AND is_truncated IS NULL) = 0
            THEN count(*) FILTER (is_valid AND is_truncated) END AS samples_truncated,
        CASE WHEN count(*) FILTER (is_valid AND parse_status = 'error') = 0
            THEN count(*) FILTER (is_valid AND parse_status <> 'parsed') END AS samples_without_answer,
        avg(prompt_tokens) FILTER (is_valid) AS prompt_tokens_per_sample,
        avg(output_tokens) FILTER (is_valid) AS output_tokens_per_sample,
        quantile_cont(output_tokens, 0.95) FILTER (is_valid) AS output_tokens_per_sample_p95,
        sum(output_tokens)::BIGINT AS output_tokens_sum,
        -- Seconds and joules from different machines, and joules from different methods, have no common mean.
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
    -- Counts have no information on individual samples.
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
    coalesce(by_point.task, told.task) AS task,
    coalesce(by_point.model_variant, told.model_variant) AS model_variant,
    coalesce(by_point.prompt, told.prompt) AS prompt,
    -- Given by `isocost.build.rules.derive_summary`: it needs all settings of all configurations of the task.
    NULL::VARCHAR AS configuration,
    coalesce(sweeps, []) AS sweeps,
    coalesce(n_sessions, 0) AS n_sessions,
    samples_planned,
    samples_missing,
    coalesce(n_problems, 0) AS n_problems,
    coalesce(samples_total, 0) AS samples_total,
    coalesce(samples_valid, 0) AS samples_valid,
    coalesce(samples_invalid, 0) AS samples_invalid,
    coalesce(samples_graded, 0) AS samples_graded,
    coalesce(samples_correct, 0) AS samples_correct,
    coalesce(samples_partial, 0) AS samples_partial,
    CASE WHEN samples_total IS NULL THEN 0 ELSE samples_truncated END AS samples_truncated,
    CASE WHEN samples_total IS NULL THEN 0 ELSE samples_without_answer END AS samples_without_answer,
    coalesce(invalid_counts, '{}') AS invalid_counts,
    samples_per_problem_min,
    samples_per_problem_max,
    accuracy,
    coalesce(samples_failed, 0) AS samples_failed,
    accuracy_failed_wrong,
    samples_valid / nullif(samples_total, 0) AS valid_ratio,
    samples_truncated / nullif(samples_valid, 0) AS truncated_ratio,
    samples_without_answer / nullif(samples_valid, 0) AS unanswered_ratio,
    prompt_tokens_per_sample,
    output_tokens_per_sample,
    output_tokens_per_sample_p95,
    CASE WHEN samples_total IS NULL THEN 0 ELSE output_tokens_sum END AS output_tokens_sum,
    latency_s_per_sample,
    decode_tokens_per_s,
    flops_per_sample,
    coalesce(samples_with_energy, 0) AS samples_with_energy,
    energy_j_per_sample,
    energy_method,
    energy_unknown_reason
FROM by_point
JOIN by_problem USING (point_id)
LEFT JOIN by_reason USING (point_id)
FULL JOIN told USING (point_id)
LEFT JOIN planned USING (point_id)
ORDER BY task, model_variant, prompt, point_id
