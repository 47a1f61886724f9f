-- How often the trades that were closed from `since` until before `until` won, by symbol. A trade that neither won nor
-- lost counts as one that did not win.
-- Parameters: since TIMESTAMP, until TIMESTAMP
SELECT
  symbol,
  COUNT(*) AS total_trades,
  COUNTIF(pnl > 0) AS wins,
  COUNTIF(pnl > 0) / COUNT(*) AS win_rate,
  SUM(pnl) AS total_pnl
FROM trades_closed
WHERE time >= @since AND time < @until
GROUP BY symbol
ORDER BY win_rate DESC, symbol
