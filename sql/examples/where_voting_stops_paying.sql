-- Where does majority voting stop paying off? For each configuration, the number of votes beyond which more votes add less than a
-- percentage point, and the cost per correct answer there and with a single sample.

WITH votes AS (
    SELECT
        task,
        configuration_of(point_ids) AS configuration,
        point_id,
        budget,
        accuracy,
        output_tokens_per_problem / nullif(accuracy, 0) AS tokens_per_correct_answer,
        max(accuracy) OVER (PARTITION BY point_id, parameters) AS best_accuracy,
        first_value(accuracy) OVER (PARTITION BY point_id, parameters ORDER BY budget) AS single_accuracy,
        first_value(output_tokens_per_problem / nullif(accuracy, 0)) OVER (PARTITION BY point_id, parameters ORDER BY budget)
            AS single_tokens_per_correct_answer
    FROM out_strategy_outcomes
    WHERE strategy = 'majority_at_k' AND n_problems_undefined = 0
)
SELECT
    task,
    configuration,
    budget AS votes_that_pay,
    round(single_accuracy, 3) AS accuracy_of_one,
    round(accuracy, 3) AS accuracy,
    round(single_tokens_per_correct_answer, 1) AS tokens_per_correct_answer_of_one,
    round(tokens_per_correct_answer, 1) AS tokens_per_correct_answer
FROM votes
WHERE accuracy >= best_accuracy - 0.01
QUALIFY row_number() OVER (PARTITION BY point_id ORDER BY budget) = 1
ORDER BY task, configuration
