-- An interval of an asymptote has its lower end first and is within 0 and 1.

SELECT curve_id, family, asymptote_low, asymptote_high
FROM out_scaling_fits
WHERE asymptote_low > asymptote_high OR asymptote_low < -1e-9 OR asymptote_high > 1 + 1e-9
ORDER BY curve_id, family
