-- Every cost of a sample is either known or has a reason; never both.

SELECT sample_id, axis, reasons
FROM (
    SELECT
        sample_id,
        unnest([{{ reasoned_names }}]) AS axis,
        unnest([{{ reasoned_costs }}]) AS cost,
        coalesce(costs_unknown_reasons, []) AS reasons
    FROM core_samples
)
WHERE (cost IS NULL) <> (len(list_filter(reasons, lambda reason: starts_with(reason, axis || ': '))) > 0)
ORDER BY sample_id, axis
