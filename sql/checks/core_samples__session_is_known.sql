-- Every generated sample comes from a run of a session in core_sessions.

SELECT sample_id, session_id, run_id
FROM core_samples
ANTI JOIN core_sessions USING (session_id, run_id)
WHERE source = 'generated'
ORDER BY sample_id
