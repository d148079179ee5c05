-- Probabilities from an interval: the normal distribution function and its use on a 95 % interval.

-- Distribution function of the standard normal, by the error function's rational approximation 7.1.26 of Abramowitz and Stegun
-- (1964); off by at most 1e-7.
CREATE OR REPLACE MACRO normal_cdf(z) AS
    CASE WHEN z >= 0 THEN 1 ELSE 0 END
    - CASE WHEN z >= 0 THEN 0.5 ELSE -0.5 END
    * exp(-z * z / 2)
    * (1 / (1 + 0.3275911 * abs(z) / sqrt(2)))
    * (0.254829592
        + (1 / (1 + 0.3275911 * abs(z) / sqrt(2))) * (-0.284496736
        + (1 / (1 + 0.3275911 * abs(z) / sqrt(2))) * (1.421413741
        + (1 / (1 + 0.3275911 * abs(z) / sqrt(2))) * (-1.453152027
        + (1 / (1 + 0.3275911 * abs(z) / sqrt(2))) * 1.061405429))));

-- Probability that the true accuracy is at least the target, from a 95 % interval, assuming a normal error.
CREATE OR REPLACE MACRO chance_of_reaching(accuracy, accuracy_low, accuracy_high, target) AS
    CASE
        WHEN accuracy_high > accuracy_low THEN normal_cdf((accuracy - target) / ((accuracy_high - accuracy_low) / (2 * 1.959964)))
        WHEN accuracy_low IS NULL OR accuracy_high IS NULL THEN NULL
        WHEN accuracy >= target THEN 1.0
        ELSE 0.0
    END;
