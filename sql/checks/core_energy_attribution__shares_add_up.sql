-- The energy that an attribution rule assigns to the calls of a run adds up to the energy of the run's measured window.
-- Key: session_id, run_id, attribution.

SELECT session_id, run_id, attribution, charged_j, energy_j
FROM (
    SELECT session_id, run_id, attribution, sum(energy_j ORDER BY call_id, attempt) AS charged_j
    FROM core_energy_attribution
    GROUP BY session_id, run_id, attribution
)
LEFT JOIN (SELECT session_id, run_id, energy_j FROM core_energy_windows WHERE window_kind = 'measured') USING (session_id, run_id)
WHERE charged_j IS NOT NULL AND (energy_j IS NULL OR abs(charged_j - energy_j) > 1e-9 * energy_j)
ORDER BY session_id, run_id, attribution
