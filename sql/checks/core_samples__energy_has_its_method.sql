-- A known energy names its method, an unknown one its reason.

SELECT sample_id, energy_j, energy_method, energy_unknown_reason
FROM core_samples
WHERE (energy_j IS NULL) <> (energy_method IS NULL)
    OR (energy_j IS NULL) <> (energy_unknown_reason IS NOT NULL)
ORDER BY sample_id
