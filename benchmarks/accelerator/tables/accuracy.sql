-- Accuracy of every configuration: a number format that harms answers shows up here.
SELECT
    task,
    model_variant,
    configuration,
    n_problems,
    samples_valid,
    accuracy,
    truncated_ratio,
    output_tokens_per_sample
FROM out_point_summary
WHERE samples_total > 0
ORDER BY task, model_variant, configuration, point_id
