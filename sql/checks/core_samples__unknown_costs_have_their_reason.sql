-- Every cost of a sample is known, or a reason says why it is not; never both.

SELECT sample_id, axis, reasons
FROM (
    SELECT
        sample_id,
        unnest(['flops', 'kinetics_eflops', 'kv_traffic_bytes', 'weight_traffic_bytes', 'device_s', 'cost_usd']) AS axis,
        unnest([flops, kinetics_eflops, kv_traffic_bytes, weight_traffic_bytes, device_s, cost_usd]) AS cost,
        coalesce(costs_unknown_reasons, []) AS reasons
    FROM core_samples
)
WHERE (cost IS NULL) <> (len(list_filter(reasons, lambda reason: starts_with(reason, axis || ': '))) > 0)
ORDER BY sample_id, axis
