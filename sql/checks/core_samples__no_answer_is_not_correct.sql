-- A sample without an extracted answer is never correct.

SELECT sample_id, parse_status, correct
FROM core_samples
WHERE correct AND parse_status = 'no_answer'
ORDER BY sample_id
