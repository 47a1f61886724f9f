-- What each model earned with each symbol in the 30 days that end with `today`, the best first.
-- Parameters: today DATE
SELECT
  symbol,
  model_name,
  SUM(total_trades) AS total_trades,
  SUM(wins) / SUM(total_trades) AS win_rate,
  SUM(total_pnl) AS total_pnl
FROM daily_performance
WHERE day > DATE_SUB(@today, INTERVAL 30 DAY) AND day <= @today
GROUP BY symbol, model_name
ORDER BY total_pnl DESC, symbol, model_name
