-- Every sample belongs to a measured configuration in core_points.

SELECT sample_id, point_id
FROM core_samples
ANTI JOIN core_points USING (point_id)
ORDER BY sample_id
