-- One bot a row: what it recorded and what it traded on a day of market time (UTC).
-- Parameters: day DATE
WITH recorded AS (
  SELECT
    bot,
    COUNT(*) AS records,
    COUNTIF(severity IN ('ERROR', 'CRITICAL')) AS errors,
    COUNTIF(kind = 'risk_event') AS risk_events
  FROM records
  WHERE DATE(`at`) = @day
  GROUP BY bot
),
traded AS (
  SELECT bot, COUNT(*) AS trades, COUNTIF(pnl > 0) AS wins, SUM(pnl) AS pnl, MAX(pnl) AS best, MIN(pnl) AS worst
  FROM trades_closed
  WHERE DATE(time) = @day
  GROUP BY bot
)
SELECT
  recorded.bot,
  recorded.records,
  recorded.errors,
  recorded.risk_events,
  COALESCE(traded.trades, 0) AS trades,
  traded.wins / traded.trades AS win_rate,
  traded.pnl,
  traded.best,
  traded.worst
FROM recorded
LEFT JOIN traded ON recorded.bot = traded.bot
ORDER BY recorded.bot
