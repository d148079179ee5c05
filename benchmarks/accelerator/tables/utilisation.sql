-- Roofline time against measured time, MFU and MBU of every configuration; prompt and output lengths are the points of gpu-lengths.
SELECT
    s.sweep,
    p.prompt,
    p.max_tokens,
    p.dtype,
    p.quantization,
    p.max_num_seqs,
    e.samples_measured,
    e.prompt_tokens_per_sample,
    e.output_tokens_per_sample,
    e.output_tokens_per_s,
    e.first_token_p50_s,
    e.latency_p50_s,
    e.roofline_s_per_sample,
    e.roofline_latency_ratio,
    e.mfu_ratio,
    e.mbu_ratio,
    e.energy_j_per_sample,
    e.unknown_reason
FROM out_request_efficiency AS e
JOIN core_points AS p USING (session_id, point_id)
JOIN (SELECT DISTINCT session_id, sweep FROM core_sessions) AS s USING (session_id)
ORDER BY s.sweep, p.prompt, p.max_tokens, p.dtype, p.quantization, p.max_num_seqs, e.point_id
