-- One row per configuration, regardless of how many sessions requested it: all settings of core_points with the counts of
-- out_point_summary. Engine settings that are not part of its identity are those of the first session.

SELECT
    configuration,
    settings.* EXCLUDE (
        session_id,
        sweep,
        n_problems,
        samples_planned_per_problem,
        samples_planned,
        samples_banked,
        samples_valid,
        samples_missing
    ),
    counts.* EXCLUDE (configuration, point_id, task, model_variant, prompt)
FROM out_point_summary AS counts
JOIN (SELECT DISTINCT ON (point_id) * FROM core_points ORDER BY point_id, session_id) AS settings USING (point_id)
ORDER BY counts.task, counts.configuration, point_id
