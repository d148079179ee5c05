-- A sample counts as truncated if and only if the token budget ended it.

SELECT sample_id, finish_reason, is_truncated
FROM core_samples
WHERE is_truncated <> (finish_reason = 'length')
ORDER BY sample_id
