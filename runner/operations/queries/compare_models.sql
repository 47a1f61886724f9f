-- Two groups of models in the seven days that end with `today`. A model is in a group whose word its name contains
-- (words are in lower case); one that contains both counts in the first.
-- Parameters: today DATE, first STRING, second STRING
WITH grouped AS (
  SELECT
    CASE
      WHEN STRPOS(LOWER(model_name), @first) > 0 THEN @first
      WHEN STRPOS(LOWER(model_name), @second) > 0 THEN @second
    END AS model_group,
    total_trades,
    wins,
    total_pnl
  FROM daily_performance
  WHERE day > DATE_SUB(@today, INTERVAL 7 DAY) AND day <= @today
)
SELECT
  model_group,
  SUM(total_trades) AS total_trades,
  SUM(wins) / SUM(total_trades) AS win_rate,
  SUM(total_pnl) AS total_pnl
FROM grouped
WHERE model_group IS NOT NULL
GROUP BY model_group
ORDER BY total_pnl DESC, model_group
