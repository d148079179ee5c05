-- The counts of a point are those of its samples: banked and valid.

SELECT point_id, session_id, samples_banked, samples_valid, coalesce(n_banked, 0) AS n_banked, coalesce(n_valid, 0) AS n_valid
FROM core_points
LEFT JOIN (
    SELECT point_id, session_id, count(*) AS n_banked, count(*) FILTER (is_valid) AS n_valid
    FROM core_samples
    GROUP BY point_id, session_id
) USING (point_id, session_id)
WHERE samples_banked <> coalesce(n_banked, 0) OR samples_valid <> coalesce(n_valid, 0)
ORDER BY point_id, session_id
