-- Whether greedy texts are the same across batch sizes and number formats.
SELECT
    task,
    prompt,
    varied,
    varied_values,
    n_problems,
    n_diverging,
    diverging_ratio,
    divergence_index_min,
    divergence_index_median,
    accuracy_min,
    accuracy_max
FROM out_reproducibility
ORDER BY task, prompt, varied, group_id
