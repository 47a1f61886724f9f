"""Every table and view of the warehouse that is not a stream, as code.

- Tables: `ohlcv`, `features`, `labels` hold bars and what is computed from them; `rollingChartData`,
  `mlTrainingSamples`, `mlTrainingBatches`, `tradeSimulations`, `recoveryState` belong to training jobs.
- Views: `trades_closed` has one row a closed trade, `daily_performance` sums them up by day, symbol and model, as
  `runner.market.metrics` defines it; `daily_summaries` is what bots themselves said of their days; `predictions` and
  `persistentForecasts` are what models said; `systemLogs` is what happened; `slowQueries` is what took long here.

What follows from records is a view, so it can never say anything else than the records do. The plan's table `trades`
is called `trades_closed`, because `trades` is the stream of entries and exits. Its model is the strategy that traded.
Tables grow by nullable columns only.
"""

from __future__ import annotations

from runner.stores.columns import Column, ColumnType
from runner.stores.shapes import Shapes, TableShape, ViewShape


def shapes() -> Shapes:
    """All tables, and all views in an order in which each knows those before it."""
    return Shapes(_TABLES, _VIEWS)


def _columns(**types: str) -> tuple[Column, ...]:
    return tuple(Column(name, ColumnType(kind)) for name, kind in types.items())


_BAR = {"time": "timestamp", "symbol": "text", "freq": "text"}
_BAR_KEY = ("time", "symbol", "freq")
_PRICES = {"open": "decimal", "high": "decimal", "low": "decimal", "close": "decimal", "volume": "decimal"}
_INDICATORS = {
    "rsi": "float",
    "macd": "float",
    "bollinger_upper": "float",
    "bollinger_lower": "float",
    "stochastic_k": "float",
    "stochastic_d": "float",
    "volatility": "float",
}

_OHLCV = TableShape("ohlcv", _columns(**_BAR, **_PRICES), day="time", cluster=("symbol", "freq"), key=_BAR_KEY)

_FEATURES = TableShape(
    "features",
    _columns(
        **_BAR,
        close_sma_3="float",
        close_rsi_14="float",
        vol_regime="integer",
        macd="float",
        macd_signal="float",
        bollinger_upper="float",
        bollinger_lower="float",
        stochastic_k="float",
        stochastic_d="float",
        atr_14="float",
        volatility="float",
    ),
    day="time",
    cluster=("symbol", "freq"),
    key=_BAR_KEY,
)

_LABELS = TableShape(
    "labels",
    _columns(**_BAR, high_040_4="boolean", low_040_4="boolean"),
    day="time",
    cluster=("symbol", "freq"),
    key=_BAR_KEY,
)

_ROLLING_CHART_DATA = TableShape(
    "rollingChartData",
    _columns(
        id="text",
        symbol="text",
        timestamp="timestamp",
        **_PRICES,
        **_INDICATORS,
        is_complete="boolean",
        created_at="timestamp",
    ),
    day="timestamp",
    cluster=("symbol",),
    key=("id",),
)

_TRAINING_SAMPLES = TableShape(
    "mlTrainingSamples",
    _columns(
        id="text",
        symbol="text",
        features="json",
        target="float",
        forecast_horizon="integer",
        created_at="timestamp",
        metadata="json",
    ),
    day="created_at",
    cluster=("symbol", "forecast_horizon"),
    key=("id",),
)

_TRAINING_BATCHES = TableShape(
    "mlTrainingBatches",
    _columns(
        id="text",
        batch_id="text",
        symbol="text",
        model_type="text",
        training_samples="integer",
        validation_samples="integer",
        rmse="float",
        mae="float",
        accuracy="float",
        model_path="text",
        is_production="boolean",
        created_at="timestamp",
    ),
    day="created_at",
    cluster=("symbol", "model_type"),
    key=("batch_id",),
)

_TRADE_SIMULATIONS = TableShape(
    "tradeSimulations",
    _columns(
        id="text",
        symbol="text",
        signal_type="text",
        entry_price="decimal",
        tp_price="decimal",
        sl_price="decimal",
        current_price="decimal",
        confidence="integer",
        profit_likelihood="integer",
        real_time_pnl="decimal",
        highest_profit="decimal",
        lowest_loss="decimal",
        profitable_minutes="integer",
        total_minutes="integer",
        is_active="boolean",
        created_at="timestamp",
        completed_at="timestamp",
    ),
    day="created_at",
    cluster=("symbol",),
    key=("id",),
)

_RECOVERY_STATE = TableShape(
    "recoveryState",
    _columns(
        id="text",
        service_name="text",
        operation_id="text",
        state_data="json",
        checkpoint_type="text",
        created_at="timestamp",
    ),
    day="created_at",
    cluster=("service_name",),
    key=("id",),
)

_TABLES = (
    _OHLCV,
    _FEATURES,
    _LABELS,
    _ROLLING_CHART_DATA,
    _TRAINING_SAMPLES,
    _TRAINING_BATCHES,
    _TRADE_SIMULATIONS,
    _RECOVERY_STATE,
)

_TRADES_CLOSED = ViewShape(
    "trades_closed",
    _columns(
        id="text",
        time="timestamp",
        symbol="text",
        side="text",
        price="decimal",
        quantity="decimal",
        model_name="text",
        signal_strength="float",
        pnl="decimal",
        status="text",
        bot="text",
        trade_id="text",
        outcome="text",
    ),
    """
    SELECT
      id, COALESCE(exit_timestamp, `at`) AS time, symbol, action AS side, price, quantity, strategy_name AS model_name,
      SAFE_CAST(JSON_VALUE(data, '$.signal_strength') AS FLOAT64) AS signal_strength,
      net_profit_loss AS pnl, 'CLOSED' AS status, bot, trade_id, outcome
    FROM trades
    WHERE kind = 'trade_exit'
    """,
)

_DAILY_PERFORMANCE = ViewShape(
    "daily_performance",
    _columns(
        day="date",
        symbol="text",
        model_name="text",
        total_trades="integer",
        wins="integer",
        win_rate="float",
        total_pnl="decimal",
        avg_pnl="float",
        max_win="decimal",
        max_loss="decimal",
        profit_factor="float",
        average_win="float",
        average_loss="float",
    ),
    """
    SELECT
      DATE(time) AS day, symbol, model_name, COUNT(*) AS total_trades, COUNTIF(pnl > 0) AS wins,
      COUNTIF(pnl > 0) / COUNT(*) AS win_rate, SUM(pnl) AS total_pnl,
      CAST(SUM(pnl) AS FLOAT64) / COUNT(*) AS avg_pnl, MAX(pnl) AS max_win, MIN(pnl) AS max_loss,
      CAST(SUM(IF(pnl > 0, pnl, 0)) AS FLOAT64)
        / NULLIF(CAST(-SUM(IF(pnl < 0, pnl, 0)) AS FLOAT64), 0) AS profit_factor,
      CAST(SUM(IF(pnl > 0, pnl, 0)) AS FLOAT64) / NULLIF(COUNTIF(pnl > 0), 0) AS average_win,
      CAST(SUM(IF(pnl < 0, pnl, 0)) AS FLOAT64) / NULLIF(COUNTIF(pnl < 0), 0) AS average_loss
    FROM trades_closed
    GROUP BY day, symbol, model_name
    """,
)

_DAILY_SUMMARIES = ViewShape(
    "daily_summaries",
    _columns(
        day="date",
        bot="text",
        equity="decimal",
        return_pct="decimal",
        max_drawdown_pct="decimal",
        open_positions="integer",
        total_trades="integer",
        wins="integer",
        net_profit="decimal",
        fees="decimal",
        id="text",
    ),
    """
    SELECT
      SAFE_CAST(JSON_VALUE(data, '$.date') AS DATE) AS day, bot,
      SAFE_CAST(JSON_VALUE(data, '$.metrics.equity') AS BIGNUMERIC(38, 12)) AS equity,
      SAFE_CAST(JSON_VALUE(data, '$.metrics.return_pct') AS BIGNUMERIC(38, 12)) AS return_pct,
      SAFE_CAST(JSON_VALUE(data, '$.metrics.max_drawdown_pct') AS BIGNUMERIC(38, 12)) AS max_drawdown_pct,
      SAFE_CAST(JSON_VALUE(data, '$.metrics.open_positions') AS INT64) AS open_positions,
      SAFE_CAST(JSON_VALUE(data, '$.metrics.trades') AS INT64) AS total_trades,
      SAFE_CAST(JSON_VALUE(data, '$.metrics.wins') AS INT64) AS wins,
      SAFE_CAST(JSON_VALUE(data, '$.metrics.net_profit') AS BIGNUMERIC(38, 12)) AS net_profit,
      SAFE_CAST(JSON_VALUE(data, '$.metrics.fees') AS BIGNUMERIC(38, 12)) AS fees,
      id
    FROM metrics
    WHERE kind = 'summary'
    """,
)

_PREDICTIONS = ViewShape(
    "predictions",
    _columns(
        **_BAR,
        model_name="text",
        label="text",
        probability="float",
        prediction="boolean",
        id="text",
    ),
    """
    SELECT
      `at` AS time, symbol, JSON_VALUE(data, '$.freq') AS freq, model AS model_name, label, probability,
      probability >= threshold AS prediction, id
    FROM metrics
    WHERE kind = 'prediction'
    """,
)

_PERSISTENT_FORECASTS = ViewShape(
    "persistentForecasts",
    _columns(
        id="text",
        symbol="text",
        forecast_type="text",
        confidence="float",
        predicted_value="decimal",
        actual_value="decimal",
        forecast_horizon="integer",
        model_version="text",
        created_at="timestamp",
        expires_at="timestamp",
    ),
    """
    SELECT
      id, symbol, forecast_type, confidence, predicted_value,
      SAFE_CAST(JSON_VALUE(data, '$.actual_value') AS BIGNUMERIC(38, 12)) AS actual_value,
      horizon_minutes AS forecast_horizon, model AS model_version, `at` AS created_at, expires_at
    FROM metrics
    WHERE kind = 'forecast'
    """,
)

_SYSTEM_LOGS = ViewShape(
    "systemLogs",
    _columns(
        id="text",
        category="text",
        subcategory="text",
        level="text",
        message="text",
        context="json",
        symbol="text",
        timestamp="timestamp",
        stack_trace="text",
    ),
    """
    SELECT
      id, kind AS category, source AS subcategory, LOWER(severity) AS level, message, context,
      JSON_VALUE(data, '$.context.symbol') AS symbol, ts AS timestamp, stack AS stack_trace
    FROM errors
    UNION ALL
    SELECT
      id, kind AS category, bot AS subcategory, LOWER(severity) AS level, COALESCE(message, status) AS message, context,
      JSON_VALUE(data, '$.context.symbol') AS symbol, ts AS timestamp, CAST(NULL AS STRING) AS stack_trace
    FROM system
    """,
)

_SLOW_QUERIES = ViewShape(
    "slowQueries",
    _columns(
        id="text",
        timestamp="timestamp",
        sql_hash="text",
        statement="text",
        milliseconds="float",
        rows_returned="integer",
        bytes_billed="integer",
    ),
    """
    SELECT
      id, ts AS timestamp, JSON_VALUE(data, '$.context.sql_hash') AS sql_hash,
      JSON_VALUE(data, '$.context.statement') AS statement,
      SAFE_CAST(JSON_VALUE(data, '$.context.milliseconds') AS FLOAT64) AS milliseconds,
      SAFE_CAST(JSON_VALUE(data, '$.context.rows') AS INT64) AS rows_returned,
      SAFE_CAST(JSON_VALUE(data, '$.context.bytes_billed') AS INT64) AS bytes_billed
    FROM system
    WHERE kind = 'system_event' AND JSON_VALUE(data, '$.message') = 'slow query'
    """,
)

_VIEWS = (
    _TRADES_CLOSED,
    _DAILY_PERFORMANCE,
    _DAILY_SUMMARIES,
    _PREDICTIONS,
    _PERSISTENT_FORECASTS,
    _SYSTEM_LOGS,
    _SLOW_QUERIES,
)
