-- A sample is valid if and only if it has no reason for being invalid.

SELECT sample_id, is_valid, invalid_reasons
FROM core_samples
WHERE is_valid <> (len(invalid_reasons) = 0)
ORDER BY sample_id
