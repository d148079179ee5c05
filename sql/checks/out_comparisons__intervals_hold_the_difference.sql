-- A difference is within its interval, which is within the simultaneous one, and both outcomes are known.

SELECT task, comparison_family, first_outcome_id, second_outcome_id
FROM out_comparisons AS pair
WHERE accuracy_difference NOT BETWEEN accuracy_difference_low - 1e-9 AND accuracy_difference_high + 1e-9
    OR accuracy_difference_band_low > accuracy_difference_low + 1e-9
    OR accuracy_difference_band_high < accuracy_difference_high - 1e-9
    OR NOT EXISTS (FROM out_strategy_outcomes WHERE outcome_id = pair.first_outcome_id)
    OR NOT EXISTS (FROM out_strategy_outcomes WHERE outcome_id = pair.second_outcome_id)
ORDER BY ALL
