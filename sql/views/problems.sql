-- One row per problem, regardless of how many sessions use it: its data in core_problems, without the counts of single sessions.

SELECT * EXCLUDE (session_id, n_samples, n_valid, n_correct, n_answer_classes)
FROM (SELECT DISTINCT ON (problem_id) * FROM core_problems ORDER BY problem_id, session_id)
ORDER BY task, problem_id
