-- The features of a symbol's newest bars that start at `since` or later, newest first.
-- Parameters: symbol STRING, freq STRING, since TIMESTAMP, limit INT64
SELECT *
FROM features
WHERE symbol = @symbol AND freq = @freq AND time >= @since
ORDER BY time DESC
LIMIT @limit
