-- out_comparisons in both directions, with the names of the outcomes: filter by first_outcome_id to see all that one outcome was
-- compared with.

WITH directed AS (
    SELECT
        task,
        comparison_family,
        first_outcome_id,
        second_outcome_id,
        accuracy_difference,
        accuracy_difference_low,
        accuracy_difference_high,
        accuracy_difference_band_low,
        accuracy_difference_band_high,
        p_value,
        p_value_holm,
        p_value_max_t,
        verdict,
        test_method
    FROM out_comparisons
    UNION ALL
    SELECT
        task,
        comparison_family,
        second_outcome_id,
        first_outcome_id,
        -accuracy_difference,
        -accuracy_difference_high,
        -accuracy_difference_low,
        -accuracy_difference_band_high,
        -accuracy_difference_band_low,
        p_value,
        p_value_holm,
        p_value_max_t,
        CASE verdict WHEN 'first_better' THEN 'second_better' WHEN 'second_better' THEN 'first_better' ELSE verdict END,
        test_method
    FROM out_comparisons
)
SELECT
    directed.*,
    one.model_variant AS first_model_variant,
    one.prompt AS first_prompt,
    one.strategy AS first_strategy,
    one.budget AS first_budget,
    other.model_variant AS second_model_variant,
    other.prompt AS second_prompt,
    other.strategy AS second_strategy,
    other.budget AS second_budget
FROM directed
LEFT JOIN out_strategy_outcomes AS one ON one.outcome_id = directed.first_outcome_id
LEFT JOIN out_strategy_outcomes AS other ON other.outcome_id = directed.second_outcome_id
ORDER BY directed.task, comparison_family, first_outcome_id, second_outcome_id
