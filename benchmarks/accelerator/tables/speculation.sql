-- Speculative decoding: how much is accepted, and what it gains over plain steps of the same run.
SELECT
    s.sweep,
    c.drafts,
    c.draft_tokens,
    c.accepted_ratio,
    c.acceptance_ratio,
    c.tokens_per_step,
    c.goodput_tokens_per_s,
    c.speedup_ratio,
    c.unknown_reason
FROM core_speculation AS c
JOIN core_sessions AS s USING (session_id, run_id)
ORDER BY s.sweep, c.session_id, c.run_id
