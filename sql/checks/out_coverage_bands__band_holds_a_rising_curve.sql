-- pass@k is within its interval, which is within the band, and never falls with k.

SELECT task, point_id, k, pass_at_k
FROM (
    SELECT *, lag(pass_at_k) OVER (PARTITION BY task, point_id ORDER BY k) AS before
    FROM out_coverage_bands
)
WHERE pass_at_k NOT BETWEEN pass_at_k_low - 1e-9 AND pass_at_k_high + 1e-9
    OR band_low > pass_at_k_low + 1e-9
    OR band_high < pass_at_k_high - 1e-9
    OR pass_at_k < before - 1e-9
ORDER BY ALL
