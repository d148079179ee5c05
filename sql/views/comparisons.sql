-- out_comparisons in both directions, with the names of the outcomes: filter by first_outcome_id to see everything that one outcome was
-- compared with. p_value applies to the pair alone, p_value_holm and p_value_max_t to all n_comparisons pairs of the family and task.

WITH told AS (
    SELECT outcome_id, configuration_of(point_ids) AS configuration, model_variant, prompt, strategy, strategy_kind, budget, parameters
    FROM out_strategy_outcomes
),
directed AS (
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
        n_comparisons,
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
        n_comparisons,
        CASE verdict WHEN 'first_better' THEN 'second_better' WHEN 'second_better' THEN 'first_better' ELSE verdict END,
        test_method
    FROM out_comparisons
)
SELECT
    directed.task,
    comparison_family,
    one.configuration AS first_configuration,
    one.strategy AS first_strategy,
    one.budget AS first_budget,
    other.configuration AS second_configuration,
    other.strategy AS second_strategy,
    other.budget AS second_budget,
    directed.* EXCLUDE (task, comparison_family),
    one.strategy_kind AS first_strategy_kind,
    other.strategy_kind AS second_strategy_kind,
    one.parameters AS first_parameters,
    other.parameters AS second_parameters,
    one.model_variant AS first_model_variant,
    other.model_variant AS second_model_variant,
    one.prompt AS first_prompt,
    other.prompt AS second_prompt
FROM directed
LEFT JOIN told AS one ON one.outcome_id = directed.first_outcome_id
LEFT JOIN told AS other ON other.outcome_id = directed.second_outcome_id
ORDER BY directed.task, comparison_family, first_outcome_id, second_outcome_id
