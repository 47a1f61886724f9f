-- How often closed trades won, by symbol. A trade that neither won nor lost counts as one that did not win.
-- @since TIMESTAMP, @until TIMESTAMP (not included)
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
