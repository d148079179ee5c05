-- No sample costs less than nothing, on any axis.

SELECT sample_id, prompt_tokens, output_tokens, cached_tokens, queue_s, prefill_s, decode_s, latency_s, flops, energy_j, cost_usd, device_s
FROM core_samples
WHERE least(prompt_tokens, output_tokens, cached_tokens) < 0
    OR least(queue_s, prefill_s, decode_s, latency_s) < 0
    OR least(flops, kinetics_eflops, kv_traffic_bytes, weight_traffic_bytes, device_s, energy_j, cost_usd) < 0
ORDER BY sample_id
