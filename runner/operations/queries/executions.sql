-- What was bought and sold before `until`, by entries and exits of trades, in the order in which it happened. Money is
-- text, as it was written.
-- Parameters: until TIMESTAMP
SELECT
  id,
  kind,
  CASE WHEN kind = 'trade_exit' THEN COALESCE(exit_timestamp, `at`) ELSE `at` END AS time,
  bot,
  trade_id,
  symbol,
  action,
  JSON_VALUE(data, '$.quantity') AS quantity,
  JSON_VALUE(data, '$.price') AS price,
  JSON_VALUE(data, '$.commission') AS commission,
  JSON_VALUE(data, '$.profit_loss') AS profit_loss,
  hold_duration_seconds,
  execution_mode,
  account_id
FROM trades
WHERE
  kind IN ('trade_entry', 'trade_exit')
  AND CASE WHEN kind = 'trade_exit' THEN COALESCE(exit_timestamp, `at`) ELSE `at` END < @until
ORDER BY time, seq, id
