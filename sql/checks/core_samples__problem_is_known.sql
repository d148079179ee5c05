-- Every sample answers a problem in core_problems.

SELECT sample_id, problem_id
FROM core_samples
ANTI JOIN core_problems USING (problem_id)
ORDER BY sample_id
