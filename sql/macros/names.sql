-- The names by which people know what was measured.

-- Name of an outcome's configuration, which no other configuration of its task has; of a chain the names of its points in the order in which
-- they are asked. Takes the point_ids of out_strategy_outcomes; NULL where a point is unknown.
CREATE OR REPLACE MACRO configuration_of(ids) AS (
    SELECT CASE WHEN count(*) = count(counts.configuration) THEN string_agg(counts.configuration, ' → ' ORDER BY place) END
    FROM (SELECT unnest(ids) AS point_id, generate_subscripts(ids, 1) AS place) AS members
    LEFT JOIN out_point_summary AS counts USING (point_id)
);

-- The strategy; what chooses or votes among k samples and gets one does neither: that is one sample, whatever its name.
CREATE OR REPLACE MACRO plain_strategy(strategy, budget) AS
    CASE WHEN budget = 1 AND regexp_matches(strategy, '_(at|of)_k(_|$)|^(adaptive|early_stopping)_consistency$') THEN 'one_sample' ELSE strategy END;
