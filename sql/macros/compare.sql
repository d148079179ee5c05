-- Comparison of any two outcomes, problem by problem.

-- Accuracy of two outcomes over the problems that both answered: difference (first minus second), its standard error over problems, a
-- 95 % interval and a two-sided p-value, both by the normal approximation: with fewer than about 30 problems, or problems that share a
-- source, use `isocost compare`, which knows Student's distribution, McNemar's test and clusters.
CREATE OR REPLACE MACRO compare_outcomes(first_id, second_id) AS TABLE
    WITH pairs AS (
        SELECT one.accuracy AS mine, other.accuracy AS theirs
        FROM out_strategy_problems AS one
        JOIN out_strategy_problems AS other USING (problem_id)
        WHERE one.outcome_id = first_id AND other.outcome_id = second_id AND one.accuracy IS NOT NULL AND other.accuracy IS NOT NULL
    ),
    moments AS (
        SELECT
            count(*) AS n_problems,
            avg(mine) AS first_accuracy,
            avg(theirs) AS second_accuracy,
            avg(mine - theirs) AS difference,
            stddev_samp(mine - theirs) / sqrt(count(*)) AS difference_se
        FROM pairs
    )
    SELECT
        *,
        difference - 1.959964 * difference_se AS difference_low,
        difference + 1.959964 * difference_se AS difference_high,
        CASE WHEN difference_se > 0 THEN 2 * (1 - normal_cdf(abs(difference) / difference_se)) END AS p_value
    FROM moments;
