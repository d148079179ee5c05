-- The counts of a point are those of its samples: banked and valid. A sample that several sessions hold is there once, so that a point
-- of several sessions has at least as many samples as the largest of them says and at most as many as all say together.

WITH told AS (
    SELECT
        point_id,
        count(*) AS n_sessions,
        max(samples_banked) AS least_banked,
        sum(samples_banked)::BIGINT AS most_banked,
        CASE WHEN count(*) = 1 THEN max(samples_valid) ELSE 0 END AS least_valid,
        sum(samples_valid)::BIGINT AS most_valid
    FROM core_points
    GROUP BY point_id
),
counted AS (
    SELECT point_id, count(*) AS n_banked, count(*) FILTER (is_valid) AS n_valid
    FROM core_samples
    GROUP BY point_id
    UNION ALL
    SELECT point_id, sum(n_samples)::BIGINT AS n_banked, sum(n_samples)::BIGINT AS n_valid
    FROM core_counts
    GROUP BY point_id
)
SELECT
    point_id,
    n_sessions,
    least_banked,
    most_banked,
    coalesce(n_banked, 0) AS n_banked,
    least_valid,
    most_valid,
    coalesce(n_valid, 0) AS n_valid
FROM told
LEFT JOIN counted USING (point_id)
WHERE coalesce(n_banked, 0) NOT BETWEEN least_banked AND most_banked OR coalesce(n_valid, 0) NOT BETWEEN least_valid AND most_valid
ORDER BY point_id
