-- Valid and invalid samples are all samples; graded, correct and truncated ones are among the valid.

SELECT point_id, samples_total, samples_valid, samples_invalid, samples_graded, samples_correct, samples_truncated
FROM out_point_summary
WHERE samples_valid + samples_invalid <> samples_total
    OR samples_graded > samples_valid
    OR samples_correct > samples_graded
    OR samples_truncated > samples_valid
ORDER BY point_id
