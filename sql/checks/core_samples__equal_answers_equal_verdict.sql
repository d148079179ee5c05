-- Samples of one answer class, which one session graded, have one verdict.
-- Key: session_id, problem_id, answer_class.

SELECT session_id, problem_id, answer_class, count(*) FILTER (correct) AS n_correct, count(*) FILTER (NOT correct) AS n_wrong
FROM core_samples
WHERE answer_class IS NOT NULL AND correct IS NOT NULL AND is_valid
GROUP BY session_id, problem_id, answer_class
HAVING n_correct > 0 AND n_wrong > 0
ORDER BY session_id, problem_id, answer_class
