-- Tokens per second and joules per token of every session: batch, number formats, key-value cache, speculation.
SELECT
    s.sweep,
    p.dtype,
    p.quantization,
    w.max_num_seqs,
    w.window_kind,
    w.window_s,
    w.requests_measured,
    w.output_tokens_per_s,
    w.energy_j_per_output_token,
    w.power_mean_w,
    w.idle_power_w,
    w.energy_measure,
    w.counter_to_integral_ratio,
    w.energy_unknown_reason,
    s.session_id
FROM core_sessions AS s
JOIN core_energy_windows AS w USING (session_id, run_id)
JOIN (
    SELECT session_id, any_value(dtype) AS dtype, any_value(quantization) AS quantization
    FROM core_points
    GROUP BY session_id
) AS p USING (session_id)
WHERE s.source = 'generated'
ORDER BY s.sweep, p.dtype, p.quantization, w.max_num_seqs, w.window_kind, s.session_id, s.run_id
