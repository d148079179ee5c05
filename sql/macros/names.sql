-- Readable names of what was measured.

-- Name of an outcome's configuration, unique within its task; for a chain, the names of its points in the order in which they are used.
-- Takes the point_ids of out_strategy_outcomes; NULL if a point is unknown.
CREATE OR REPLACE MACRO configuration_of(ids) AS (
    SELECT CASE WHEN count(*) = count(counts.configuration) THEN string_agg(counts.configuration, ' → ' ORDER BY place) END
    FROM (SELECT unnest(ids) AS point_id, generate_subscripts(ids, 1) AS place) AS members
    LEFT JOIN out_point_summary AS counts USING (point_id)
);

-- The strategy; choosing or voting among a single sample is one sample, whatever the strategy.
CREATE OR REPLACE MACRO plain_strategy(strategy, budget) AS
    CASE WHEN budget = 1 AND regexp_matches(strategy, '_(at|of)_k(_|$)|^(adaptive|early_stopping)_consistency$') THEN 'one_sample' ELSE strategy END;
