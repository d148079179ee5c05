-- A sample is valid exactly where no reason speaks against it.

SELECT sample_id, is_valid, invalid_reasons
FROM core_samples
WHERE is_valid <> (len(invalid_reasons) = 0)
ORDER BY sample_id
