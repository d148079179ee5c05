-- Comparison of any two outcomes, problem by problem: the numbers that `isocost compare` prints.

-- Accuracy of two outcomes of a task over the problems graded for both: difference (first minus second) with its standard error and 95 % t
-- interval over problems, or over clusters of problems that share a source; the p-value is that of the t test, or of McNemar's exact test
-- if each problem is simply right or wrong for both. *_kind: an oracle needs a perfect verifier, a metric is not a way to answer. A p-value
-- applies to this single question: p_value_holm and p_value_max_t apply to all n_comparisons pairs of the largest family of out_comparisons
-- that contains the pair, p_value_bonferroni to all n_task_pairs pairs of the task's outcomes of these kinds.
CREATE OR REPLACE MACRO compare_outcomes(first_id, second_id) AS TABLE
    WITH named AS (
        SELECT
            coalesce(any_value(task) FILTER (outcome_id = first_id), error('there is no outcome ' || first_id)) AS first_task,
            coalesce(any_value(task) FILTER (outcome_id = second_id), error('there is no outcome ' || second_id)) AS second_task,
            any_value(strategy_kind) FILTER (outcome_id = first_id) AS first_kind,
            any_value(strategy_kind) FILTER (outcome_id = second_id) AS second_kind
        FROM out_strategy_outcomes
        WHERE outcome_id IN (first_id, second_id)
    ),
    sources AS (
        -- If several sessions name different clusters, the first by session name.
        SELECT problem_id, min(cluster_id) AS cluster_id
        FROM core_problems
        WHERE cluster_id IS NOT NULL
        GROUP BY problem_id
    ),
    pairs AS (
        SELECT
            one.accuracy AS mine,
            other.accuracy AS theirs,
            one.accuracy - other.accuracy AS delta,
            coalesce(cluster_id, 'problem ' || problem_id) AS unit
        FROM out_strategy_problems AS one
        JOIN out_strategy_problems AS other USING (problem_id)
        LEFT JOIN sources USING (problem_id)
        WHERE one.outcome_id = first_id AND other.outcome_id = second_id AND one.accuracy IS NOT NULL AND other.accuracy IS NOT NULL
    ),
    means AS (
        SELECT
            count(*) AS n_problems,
            count(DISTINCT unit) AS n_units,
            avg(mine) AS first_accuracy,
            avg(theirs) AS second_accuracy,
            avg(delta) AS difference,
            max(abs(delta)) AS largest,
            bool_and(mine IN (0, 1) AND theirs IN (0, 1)) AS is_plain,
            count(*) FILTER (mine > theirs) AS n_first_only,
            count(*) FILTER (mine < theirs) AS n_second_only
        FROM pairs
    ),
    units AS (
        SELECT sum(delta - difference) AS centred
        FROM pairs
        CROSS JOIN means
        GROUP BY unit
    ),
    spread AS (
        SELECT means.*, sqrt((SELECT sum(centred * centred) FROM units) * n_units / nullif(n_units - 1, 0)) / n_problems AS raw_se
        FROM means
    ),
    tested AS (
        SELECT
            * EXCLUDE (raw_se, largest, is_plain),
            -- Sums of equal differences leave rounding errors, which would otherwise look like evidence.
            CASE WHEN raw_se > 1e-14 * largest THEN raw_se ELSE 0 END AS difference_se,
            CASE WHEN n_units < n_problems THEN 'paired_t_clustered' WHEN is_plain THEN 'mcnemar_exact' ELSE 'paired_t' END AS test_method
        FROM spread
    ),
    judged AS (
        SELECT
            *,
            difference - student_quantile(0.05, n_units - 1) * difference_se AS difference_low,
            difference + student_quantile(0.05, n_units - 1) * difference_se AS difference_high,
            CASE
                WHEN test_method = 'mcnemar_exact' THEN mcnemar_p_value(n_first_only, n_second_only)
                WHEN difference_se > 0 THEN student_p_value(difference / difference_se, n_units - 1)
                WHEN difference = 0 THEN 1.0
            END AS p_value
        FROM tested
        WHERE n_units > 1
    ),
    family AS (
        SELECT comparison_family, n_comparisons, p_value_holm, p_value_max_t
        FROM out_comparisons
        WHERE first_outcome_id IN (first_id, second_id) AND second_outcome_id IN (first_id, second_id) AND first_id <> second_id
        ORDER BY n_comparisons DESC, comparison_family
        LIMIT 1
    ),
    rivals AS (
        SELECT count(*) * (count(*) - 1) // 2 AS n_task_pairs
        FROM out_strategy_outcomes
        CROSS JOIN named
        WHERE task = first_task AND accuracy IS NOT NULL AND strategy_kind IN ('policy', first_kind, second_kind)
    )
    SELECT
        coalesce(n_problems, error('fewer than two problems, or clusters of problems, are defined for both')) AS n_problems,
        n_units,
        first_kind,
        second_kind,
        first_accuracy,
        second_accuracy,
        difference,
        difference_se,
        difference_low,
        difference_high,
        p_value,
        test_method,
        comparison_family,
        n_comparisons,
        p_value_holm,
        p_value_max_t,
        n_task_pairs,
        least(1.0, p_value * n_task_pairs) AS p_value_bonferroni
    FROM named
    CROSS JOIN rivals
    LEFT JOIN judged ON first_task = second_task
        OR error('outcomes of different tasks are not paired: ' || first_task || ', ' || second_task)
    LEFT JOIN family ON true;
