-- An accuracy is within its own interval, and both are within 0 and 1.

SELECT outcome_id, accuracy_low, accuracy, accuracy_high
FROM out_strategy_outcomes
WHERE accuracy < accuracy_low - 1e-9
    OR accuracy > accuracy_high + 1e-9
    OR least(accuracy, accuracy_low) < -1e-9
    OR greatest(accuracy, accuracy_high) > 1 + 1e-9
ORDER BY outcome_id
