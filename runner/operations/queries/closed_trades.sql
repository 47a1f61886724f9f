-- Every trade that was closed from `since` until before `until`, in the order of the exits. Money is text, as it was
-- written.
-- Parameters: since TIMESTAMP, until TIMESTAMP
SELECT
  id,
  COALESCE(exit_timestamp, `at`) AS time,
  bot,
  trade_id,
  symbol,
  action,
  JSON_VALUE(data, '$.quantity') AS quantity,
  JSON_VALUE(data, '$.price') AS price,
  strategy_name,
  outcome,
  JSON_VALUE(data, '$.profit_loss') AS profit_loss,
  JSON_VALUE(data, '$.commission') AS commission,
  JSON_VALUE(data, '$.net_profit_loss') AS net_profit_loss,
  hold_duration_seconds,
  execution_mode,
  exit_reasoning
FROM trades
WHERE kind = 'trade_exit' AND COALESCE(exit_timestamp, `at`) >= @since AND COALESCE(exit_timestamp, `at`) < @until
ORDER BY time, id
