-- The four cells of a judge's table of agreement are all answers with a gold label, and no rate is outside its interval.

SELECT task, judge, n_answers, n_verdicts, n_gold, n_gold_correct, n_true_positive, n_false_positive, n_false_negative, n_true_negative, accuracy
FROM out_judge_agreement
WHERE n_true_positive + n_false_positive + n_false_negative + n_true_negative <> n_gold
    OR n_true_positive + n_false_negative <> n_gold_correct
    OR n_gold > n_verdicts
    OR n_verdicts > n_answers
    OR accuracy NOT BETWEEN accuracy_low AND accuracy_high
    OR false_positive_rate NOT BETWEEN false_positive_rate_low AND false_positive_rate_high
    OR false_negative_rate NOT BETWEEN false_negative_rate_low AND false_negative_rate_high
    OR (n_gold > 0) <> (undefined_reason IS NULL)
ORDER BY task, judge
