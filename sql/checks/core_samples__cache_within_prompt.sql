-- No more prompt tokens come from the prefix cache than the prompt has.

SELECT sample_id, prompt_tokens, cached_tokens
FROM core_samples
WHERE cached_tokens > prompt_tokens
ORDER BY sample_id
