-- What is the cheapest way to reach 50 % accuracy? For each task, the cheapest policy that reaches it, as measured and with a probability
-- of at least 90 %, in generated tokens per problem.

WITH candidates AS (
    SELECT
        task,
        configuration_of(point_ids) AS configuration,
        plain_strategy(strategy, budget) AS strategy,
        budget,
        accuracy,
        output_tokens_per_problem,
        chance_of_reaching(accuracy, accuracy_low, accuracy_high, 0.5) AS chance
    FROM out_strategy_outcomes
    WHERE strategy_kind = 'policy' AND n_problems_undefined = 0 AND accuracy >= 0.5 AND output_tokens_per_problem IS NOT NULL
),
bars AS (
    FROM (VALUES ('as measured', 0.5), ('90 % sure', 0.9)) AS bars (reached, least_chance)
)
SELECT
    task,
    reached,
    configuration,
    strategy,
    budget,
    round(accuracy, 3) AS accuracy,
    round(chance, 3) AS chance,
    round(output_tokens_per_problem, 1) AS output_tokens_per_problem
FROM bars
JOIN candidates ON chance >= least_chance
QUALIFY row_number() OVER (PARTITION BY task, reached ORDER BY output_tokens_per_problem, accuracy DESC, strategy <> 'one_sample', strategy) = 1
ORDER BY task, least_chance
