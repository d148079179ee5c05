-- Student's t distribution and McNemar's exact test, so that SQL gives the same numbers as `isocost compare`.

-- The continued fraction of the incomplete beta function (Abramowitz and Stegun 1964, 26.5.8) without its factor, from its n-th term back
-- to the first: it converges after about the square root of the larger parameter.
CREATE OR REPLACE MACRO beta_fraction(a, b, x, n) AS
    list_reduce(
        range(n::BIGINT, 0, -1)::DOUBLE[],
        lambda below, i: 1 + CASE
            WHEN i % 2 = 0 THEN (i / 2) * (b - i / 2) * x / ((a + i - 1) * (a + i))
            ELSE -(a + (i - 1) / 2) * (a + b + (i - 1) / 2) * x / ((a + i - 1) * (a + i))
        END / below,
        1.0::DOUBLE
    );

-- ln gamma(z + 1/2) - ln gamma(z): by Stirling's series from 30 on, where the difference of two logarithms would lose precision.
CREATE OR REPLACE MACRO log_gamma_half_step(z) AS
    CASE
        WHEN z < 30 THEN lgamma(z + 0.5) - lgamma(z)
        ELSE 0.5 * ln(z) - 1 / (8 * z) + 1 / (192 * pow(z, 3)) - 1 / (640 * pow(z, 5)) + 17 / (14336 * pow(z, 7))
    END;

-- Density of Student's t distribution at t with df degrees of freedom.
CREATE OR REPLACE MACRO student_density(t, df) AS
    exp(log_gamma_half_step(df / 2.0) - 0.5 * ln(df * pi()) - (df + 1) / 2.0 * ln(1 + t * t / df));

-- Probability of a value as far from 0 as t, on either side: the regularized incomplete beta function at df / (df + t^2) with parameters df
-- / 2 and 1 / 2 (Abramowitz and Stegun 26.7.1), by whichever of its two fractions converges fast; both have the factor t times the density.
CREATE OR REPLACE MACRO student_p_value(t, df) AS
    CASE
        WHEN t = 0 THEN 1.0
        WHEN df / (df + t * t) < (df / 2.0 + 1) / (df / 2.0 + 2.5) THEN
            2 * abs(t) * student_density(t, df) / df / beta_fraction(df / 2.0, 0.5, df / (df + t * t), 60 + 4 * sqrt(df))
        ELSE 1 - 2 * abs(t) * student_density(t, df) / beta_fraction(0.5, df / 2.0, t * t / (df + t * t), 60 + 4 * sqrt(df))
    END;

-- The t with probability p beyond it on both sides together: Newton's steps from the normal distribution's 1.96, which for p up to 0.05 is
-- below it, so that they rise towards it.
CREATE OR REPLACE MACRO student_quantile(p, df) AS
    list_reduce(
        range(24)::DOUBLE[],
        lambda t, step: t + (student_p_value(t, df) - p) / (2 * student_density(t, df)),
        1.959963984540054::DOUBLE
    );

-- McNemar's exact test: two-sided binomial probability for problems that only one of two single samples solves (McNemar 1947).
CREATE OR REPLACE MACRO mcnemar_p_value(only_first, only_second) AS
    least(
        1.0,
        2 * list_sum(
            list_transform(
                range(least(only_first, only_second)::BIGINT + 1),
                lambda i: exp(
                    lgamma(only_first + only_second + 1.0) - lgamma(i + 1.0) - lgamma(only_first + only_second - i + 1.0)
                    - (only_first + only_second) * ln(2.0)
                )
            )
        )
    );
