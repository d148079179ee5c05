-- Every duel has a winner and a loser among the judges of a task, and an unknown ability has its reason.

SELECT task, judge, n_won, n_lost, ability, undefined_reason
FROM out_judge_abilities
WHERE (ability IS NULL) <> (undefined_reason IS NOT NULL)
    OR task IN (SELECT task FROM out_judge_abilities GROUP BY task HAVING sum(n_won) <> sum(n_lost))
ORDER BY task, judge
