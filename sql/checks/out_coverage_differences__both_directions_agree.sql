-- Every pair of configurations occurs in both directions, with opposite signs.

SELECT one.task, one.point_id, one.other_point_id, one.k
FROM out_coverage_differences AS one
LEFT JOIN out_coverage_differences AS back
    ON back.task = one.task AND back.point_id = one.other_point_id AND back.other_point_id = one.point_id AND back.k = one.k
WHERE back.k IS NULL
    OR abs(one.pass_at_k_difference + back.pass_at_k_difference) > 1e-9
    OR (one.verdict = 'better') <> (back.verdict = 'worse')
ORDER BY ALL
