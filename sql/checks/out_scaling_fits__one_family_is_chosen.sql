-- At most one family is chosen for a curve, and it is the one that chosen_family names.

SELECT curve_id, count(*) FILTER (is_chosen) AS n_chosen, min(chosen_family) AS chosen_family, min(family) FILTER (is_chosen) AS family
FROM out_scaling_fits
GROUP BY curve_id
HAVING n_chosen > 1 OR n_chosen <> (min(chosen_family) IS NOT NULL)::INTEGER OR family <> chosen_family
ORDER BY curve_id
