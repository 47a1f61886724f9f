-- The features of a symbol's newest bars, newest first.
-- @symbol STRING, @freq STRING, @since TIMESTAMP (bars that start then or later), @limit INT64
SELECT *
FROM features
WHERE symbol = @symbol AND freq = @freq AND time >= @since
ORDER BY time DESC
LIMIT @limit
