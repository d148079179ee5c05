-- The counts of a point are those of its samples: banked and valid. A sample in several sessions counts once, so a point of several
-- sessions has at least as many samples as the largest of them states and at most as many as all of them together. A sample of no known
-- point may be missing here: point_is_known tells of it.
-- Key: point_id.

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
    SELECT point_id, sum(n_banked)::BIGINT AS n_banked, sum(n_valid)::BIGINT AS n_valid
    FROM (
        SELECT point_id, 1 AS n_banked, is_valid::INTEGER AS n_valid FROM core_samples
        UNION ALL
        SELECT point_id, n_samples AS n_banked, n_samples AS n_valid FROM core_counts
    )
    GROUP BY point_id
),
stray AS (SELECT count(*) AS n_strays FROM core_samples ANTI JOIN core_points USING (point_id))
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
CROSS JOIN stray
WHERE coalesce(n_banked, 0) NOT BETWEEN least_banked - n_strays AND most_banked
    OR coalesce(n_valid, 0) NOT BETWEEN least_valid - n_strays AND most_valid
ORDER BY point_id
