-- No sample has a negative cost, on any axis.

SELECT sample_id, prompt_tokens, output_tokens, cached_tokens, queue_s, prefill_s, decode_s, latency_s, {{ core_costs }}
FROM core_samples
WHERE least(prompt_tokens, output_tokens, cached_tokens) < 0
    OR least(queue_s, prefill_s, decode_s, latency_s) < 0
    OR least({{ core_costs }}) < 0
ORDER BY sample_id
