-- The newest entries and exits of trades in a symbol, newest first.
-- Parameters: symbol STRING, limit INT64
SELECT id, ts, `at`, kind, bot, trade_id, action, quantity, price, outcome, net_profit_loss
FROM trades
WHERE symbol = @symbol
ORDER BY ts DESC, id DESC
LIMIT @limit
