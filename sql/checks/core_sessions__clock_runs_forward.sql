-- No run ends before it starts.
-- Key: session_id, run_id.

SELECT session_id, run_id, started_unix_s, ended_unix_s
FROM core_sessions
WHERE ended_unix_s < started_unix_s
ORDER BY session_id, run_id
