"""What the BigQuery warehouse promises beyond every warehouse: exactly one effect, clear errors, known costs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from runner.errors import RunnerError, StoreDenied, StoreError, StoreRejected, StoreUnavailable
from runner.stores.base import Part
from runner.stores.bigquery import MAX_BYTES, UNSHIPPED_BYTES, BigqueryWarehouse
from runner.stores.bigquery_jobs import Deadlines, Estimate
from runner.stores.bigquery_sql import Dataset, Load
from runner.stores.columns import Column, ColumnType
from runner.stores.shapes import Shapes, TableShape
from tests.emulators.emulator import Emulator
from tests.emulators.faults import Fault
from tests.emulators.http_relay import HttpRelay
from tests.emulators.relay import Relay
from tests.stores.bigquery_parts import ArchivedParts, client_of, open_bigquery, put_object

RUN = "018fb0a0-0000-7000-8000-0000deadbeef"
NOW = datetime(2024, 6, 3, 14, 30, tzinfo=UTC)
COLUMNS = {"trades": (Column("symbol", ColumnType.TEXT), Column("price", ColumnType.DECIMAL))}
SHORT = Deadlines(request=1.0, query=2.0, load=2.0)


def lines(first: int, count: int) -> bytes:
    return b"".join(line(number) for number in range(first, first + count))


def line(number: int) -> bytes:
    moment = NOW.isoformat(timespec="microseconds")
    record = {"id": f"{RUN}:trades:{number:012d}", "seq": number, "ts": moment, "kind": "trade_entry", "bot": "a"}
    return json.dumps(record | {"run": RUN, "data": {"symbol": "AAPL", "price": "1.5"}}).encode() + b"\n"


def part(first: int, count: int, version: int = 1) -> Part:
    name = f"logs/2024/06/03/a/trades_143000_deadbeef-{first:012d}_v{version}.json.gz"
    return Part("trade-logs", name, "trades", {}, lines(first, count))


def count(warehouse: BigqueryWarehouse) -> tuple[int, int]:
    """Records, and different ones."""
    (row,) = warehouse.query("SELECT count(*), count(DISTINCT id) FROM trades").rows
    return row[0], row[1]


def _loaded(warehouse: BigqueryWarehouse) -> frozenset[str]:
    try:
        return warehouse.loaded("trades")
    except StoreUnavailable:
        return warehouse.loaded("trades")


@pytest.fixture
def warehouse(request: pytest.FixtureRequest) -> Iterator[ArchivedParts]:
    made = open_bigquery(request, COLUMNS)
    yield made
    made.close()


class BreakingRelay(HttpRelay):
    """Breaks off one request; `broken` counts those that it did."""

    broken = 0
    jobs: list[dict[str, Any]]
    """The jobs that were asked for, as they were on the wire."""
    _breaks: Callable[[Sequence[str]], bool] | None = None
    _fault: Fault[int]

    def break_at(self, number: int) -> None:
        """The `number`-th request from now on: it is done, and its answer is lost."""
        until = len(self.seen) + number
        self._fault, self._breaks = Fault(503, "broken off", True), lambda seen: len(seen) == until

    def break_after(self, sign: str, *, status: int) -> None:
        """The request after the next one whose name contains `sign`."""
        self._fault, self._breaks = Fault(status, "broken off", False), lambda seen: sign in seen[-2]

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        if method == "POST" and "/jobs" in path:
            self.jobs.append(json.loads(body))
        return super().forward(method, path, headers, body)

    def take(self, name: str) -> Fault[int] | None:
        fault = super().take(name)
        if self._breaks is None or not self._breaks(self.seen):
            return fault
        self.broken, self._breaks = self.broken + 1, None
        return self._fault


@pytest.fixture
def relay(bigquery_emulator: Emulator) -> Iterator[BreakingRelay]:
    with BreakingRelay(bigquery_emulator.host) as relay:
        relay.jobs = []
        yield relay


@pytest.fixture
def relayed(
    request: pytest.FixtureRequest, relay: HttpRelay, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ArchivedParts]:
    """A warehouse that is ready and reaches BigQuery through the relay."""
    direct = open_bigquery(request, COLUMNS)
    direct.loaded("trades")
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", relay.url)
    made = ArchivedParts(request.getfixturevalue("demo_project"), "tron", COLUMNS, archive=direct.bucket_prefix)
    made.bucket_prefix = direct.bucket_prefix
    made.loaded("trades")
    yield made
    made.close()
    direct.close()


class TestLoading:
    def test_records_that_lie_in_two_objects_are_there_once(self, warehouse: ArchivedParts) -> None:
        assert warehouse.load([part(0, 3), part(3, 2)]) == 5
        assert warehouse.load([part(0, 6, version=2)]) == 1
        assert count(warehouse) == (6, 6)
        assert len(warehouse.loaded("trades")) == 3

    def test_one_object_that_holds_a_record_twice_adds_it_once(self, warehouse: ArchivedParts) -> None:
        once = part(0, 2)
        assert warehouse.load([Part(once.bucket, once.name, "trades", {}, once.lines + once.lines)]) == 2
        assert count(warehouse) == (2, 2)

    def test_two_that_load_the_same_objects_at_once_add_them_once(self, warehouse: ArchivedParts) -> None:
        parts = [part(0, 50), part(50, 50)]
        warehouse.loaded("trades")

        def load() -> None:
            try:
                warehouse.load(parts)
            except StoreError:
                warehouse.load(parts)

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert count(warehouse) == (100, 100)
        assert len(warehouse.loaded("trades")) == 2

    def test_an_object_that_is_not_what_was_checked_is_not_loaded(self, warehouse: ArchivedParts) -> None:
        short = part(0, 2)
        put_object(warehouse.bucket_prefix, short)
        longer = Part(short.bucket, short.name, "trades", {}, lines(0, 3))
        with pytest.raises(StoreUnavailable, match="the staged rows are not those of the objects"):
            BigqueryWarehouse.load(warehouse, [longer])
        assert count(warehouse) == (0, 0)
        assert warehouse.loaded("trades") == frozenset()
        assert warehouse.load([short]) == 2

    def test_an_object_that_is_missing_names_its_bucket(self, warehouse: ArchivedParts) -> None:
        with pytest.raises(StoreError, match="trade-logs"):
            BigqueryWarehouse.load(warehouse, [part(0, 1)])
        assert warehouse.loaded("trades") == frozenset()

    def test_nothing_is_left_of_what_was_staged(self, warehouse: ArchivedParts, demo_project: str) -> None:
        warehouse.load([part(0, 2)])
        tables = {table.table_id for table in client_of(demo_project).list_tables("tron")}
        assert tables == {"records_trades", "loads", "trades", "records"}

    def test_the_ledger_says_which_load_brought_a_record(self, warehouse: ArchivedParts, demo_project: str) -> None:
        warehouse.load([part(0, 2)])
        (row,) = client_of(demo_project).query_and_wait(
            "SELECT loads.object, loads.bucket, loads.records, COUNT(*) AS found FROM tron.records_trades AS records "
            "JOIN tron.loads AS loads ON records.load_id = loads.load_id GROUP BY 1, 2, 3"
        )
        assert tuple(row) == (part(0, 2).name, "trade-logs", 2, 2)

    @pytest.mark.parametrize("number", range(2, 11))
    def test_a_load_that_breaks_off_anywhere_has_its_effect_once(
        self, relayed: ArchivedParts, relay: BreakingRelay, number: int
    ) -> None:
        relay.break_at(number)
        failures = 0
        while len(relayed_names := _loaded(relayed)) == 0:
            try:
                relayed.load([part(0, 3), part(3, 2)])
            except StoreUnavailable:
                failures += 1
        assert failures <= 1
        assert len(relayed_names) == 2
        assert count(relayed) == (5, 5)

    def test_a_job_id_that_is_used_up_is_followed_by_the_next_attempt(
        self, relayed: ArchivedParts, relay: BreakingRelay
    ) -> None:
        relay.break_after("/tables", status=409)
        assert relayed.load([part(1, 1)]) == 1
        assert relay.broken == 1


REFUSALS: dict[str, tuple[int, str, type[RunnerError], str]] = {
    "denied": (403, "accessDenied", StoreDenied, "grant the role roles/bigquery.dataEditor"),
    "signed out": (401, "authError", StoreDenied, "gcloud auth application-default login"),
    "a used up quota": (403, "quotaExceeded", StoreUnavailable, "quota"),
    "too many requests": (429, "rateLimitExceeded", StoreUnavailable, "quota"),
    "down": (503, "backendError", StoreUnavailable, "tried again"),
    "a lost transaction": (
        400,
        "Transaction is aborted due to concurrent update against table",
        StoreUnavailable,
        "tried again",
    ),
    "too expensive": (400, "Query exceeded limit for bytes billed: 1", StoreRejected, "max_gib"),
    "not SQL": (400, "invalidQuery", StoreRejected, "SHOW TABLES"),
    "no dataset": (404, "notFound", StoreUnavailable, "bq mk --dataset --location=US demo-"),
}


class TestErrors:
    @pytest.mark.parametrize("refusal", REFUSALS)
    def test_what_google_refuses_is_an_error_with_a_hint(
        self, relayed: ArchivedParts, relay: HttpRelay, refusal: str
    ) -> None:
        status, message, kind, hint = REFUSALS[refusal]
        relay.fail_next(status, message=message)
        with pytest.raises(kind) as caught:
            relayed.query("SELECT * FROM trades")
        assert type(caught.value) is kind
        assert hint in caught.value.hint
        assert "\n" not in str(caught.value)
        assert relayed.query("SELECT * FROM trades").rows == ()

    def test_a_dataset_that_is_missing_names_the_command_that_creates_it(
        self, bigquery_emulator: Emulator, demo_project: str
    ) -> None:
        warehouse = BigqueryWarehouse(demo_project, "nowhere", COLUMNS, archive="demo", location="EU")
        with pytest.raises(StoreUnavailable) as caught:
            warehouse.query("SELECT * FROM trades")
        assert f"bq mk --dataset --location=EU {demo_project}:nowhere" in caught.value.hint

    def test_a_service_that_does_not_answer_is_given_up_at_the_deadline(
        self, request: pytest.FixtureRequest, bigquery_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        direct = open_bigquery(request, COLUMNS)
        direct.load([part(0, 1)])
        with Relay(bigquery_emulator.host) as relay:
            monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", relay.url)
            project = request.getfixturevalue("demo_project")
            slow = BigqueryWarehouse(project, "tron", COLUMNS, archive=direct.bucket_prefix, deadlines=SHORT)
            relay.suspend()
            with pytest.raises(StoreUnavailable):
                slow.query("SELECT * FROM trades")
            relay.heal()
            assert count(slow) == (1, 1)
        direct.close()

    def test_a_service_that_is_cut_off_is_unavailable_until_it_is_back(
        self, request: pytest.FixtureRequest, bigquery_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        direct = open_bigquery(request, COLUMNS)
        put_object(direct.bucket_prefix, part(0, 1))
        with Relay(bigquery_emulator.host) as relay:
            monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", relay.url)
            project = request.getfixturevalue("demo_project")
            warehouse = BigqueryWarehouse(project, "tron", COLUMNS, archive=direct.bucket_prefix)
            relay.cut()
            with pytest.raises(StoreUnavailable):
                warehouse.load([part(0, 1)])
            relay.heal()
            assert warehouse.load([part(0, 1)]) == 1
        direct.close()

    def test_more_unshipped_lines_than_a_query_carries_are_rejected(self, warehouse: ArchivedParts) -> None:
        with pytest.raises(StoreRejected, match="more than a query can carry") as caught:
            warehouse.query("SELECT 1", unshipped={"trades": b" " * (UNSHIPPED_BYTES + 1)})
        assert "tron export" in caught.value.hint


class TestAnswers:
    def test_a_query_answers_with_arrow_or_a_frame_too(self, warehouse: ArchivedParts) -> None:
        warehouse.load([part(0, 2)])
        sql, parameters = "SELECT symbol, price, data FROM trades WHERE seq = ?", [1]
        arrow = warehouse.arrow(sql, parameters)
        assert arrow.column_names == ["symbol", "price", "data"]
        assert arrow.to_pylist()[0]["price"] == Decimal("1.5")
        assert json.loads(arrow["data"][0].as_py()) == {"symbol": "AAPL", "price": "1.5"}
        assert warehouse.frame(sql, parameters)["symbol"].tolist() == ["AAPL"]

    def test_what_a_query_would_cost_is_told_before_it_runs(self, warehouse: ArchivedParts) -> None:
        assert isinstance(warehouse.estimate("SELECT * FROM trades"), Estimate)
        assert warehouse.query("EXPLAIN SELECT * FROM trades").columns == ("bytes", "usd")

    @pytest.mark.parametrize("value", [None, True, 3, 2.5, "a ' b", NOW, NOW.date(), Decimal("1.25")])
    def test_a_parameter_comes_back_as_it_was_given(self, warehouse: ArchivedParts, value: Any) -> None:
        assert warehouse.query("SELECT ? AS value", [value]).rows == ((value,),)

    def test_google_sql_takes_named_parameters_and_lists(self, warehouse: ArchivedParts) -> None:
        warehouse.load([part(0, 3)])
        sql = "SELECT COUNT(*) FROM trades WHERE seq IN UNNEST(@wanted) AND symbol = @symbol"
        assert warehouse.google_query(sql, {"wanted": [0, 2, 7], "symbol": "AAPL"}).rows == ((2,),)

    @pytest.mark.parametrize(
        "sql", ["DELETE FROM trades WHERE TRUE", "SELECT * FROM other.trades", "SELECT 1; SELECT 2"]
    )
    def test_google_sql_only_reads_the_tables_of_the_dataset(self, warehouse: ArchivedParts, sql: str) -> None:
        with pytest.raises(StoreRejected):
            warehouse.google_query(sql, {})


class TestRequests:
    """What the emulator ignores is right on the wire."""

    def test_a_load_job_names_its_objects_and_may_be_told_from_every_other(
        self, relayed: ArchivedParts, relay: BreakingRelay
    ) -> None:
        relayed.load([part(0, 1), part(1, 1)])
        (job,) = [job for job in relay.jobs if "load" in job["configuration"]]
        load = job["configuration"]["load"]
        bucket = f"gs://{relayed.bucket_prefix}-tron-trade-logs"
        assert load["sourceUris"] == [f"{bucket}/{part(first, 1).name}" for first in (0, 1)]
        assert (load["sourceFormat"], load["writeDisposition"]) == ("NEWLINE_DELIMITED_JSON", "WRITE_TRUNCATE")
        assert "schemaUpdateOptions" not in load
        staging = load["destinationTable"]["tableId"]
        assert re.fullmatch(r"loading_trades_[0-9a-f]{16}", staging)
        assert job["jobReference"]["jobId"] == f"tron_{staging}_0"

    def test_a_query_has_named_parameters_a_deadline_and_a_limit_of_bytes(
        self, relayed: ArchivedParts, relay: BreakingRelay
    ) -> None:
        relayed.query("SELECT count(*) FROM trades WHERE symbol = ?", ["x'; DROP"])
        configuration = relay.jobs[-1]["configuration"]
        query = configuration["query"]
        assert query["query"] == "SELECT COUNT(*) FROM trades WHERE symbol = @p1"
        assert query["queryParameters"][0]["parameterValue"] == {"value": "x'; DROP"}
        assert (query["maximumBytesBilled"], query["useLegacySql"]) == (str(MAX_BYTES), False)
        assert configuration["jobTimeoutMs"] == "120000"
        assert configuration["labels"] == {"product": "tron"}

    def test_an_estimate_runs_nothing(self, relayed: ArchivedParts, relay: BreakingRelay) -> None:
        relayed.estimate("SELECT * FROM trades")
        configuration = relay.jobs[-1]["configuration"]
        assert configuration["dryRun"] is True
        assert configuration["query"]["useQueryCache"] is False


class TestSchema:
    def test_a_younger_version_adds_its_columns_and_older_rows_are_null_there(
        self, request: pytest.FixtureRequest, warehouse: ArchivedParts
    ) -> None:
        warehouse.load([part(0, 1)])
        more = {"trades": (*COLUMNS["trades"], Column("venue", ColumnType.TEXT)), "risk": ()}
        younger = BigqueryWarehouse(
            request.getfixturevalue("demo_project"), "tron", more, archive=warehouse.bucket_prefix
        )
        assert younger.query("SELECT symbol, venue FROM trades").rows == (("AAPL", None),)
        assert younger.query("SELECT count(*) FROM risk").rows == ((0,),)
        assert younger.query("SELECT count(*) FROM records").rows == ((1,),)
        assert warehouse.query("SELECT symbol FROM trades").rows == (("AAPL",),)
        younger.close()

    def test_a_dataset_that_is_as_it_should_be_is_left_alone(
        self, relayed: ArchivedParts, relay: BreakingRelay
    ) -> None:
        sent = [job["configuration"]["query"]["query"] for job in relay.jobs]
        assert [sql for sql in sent if not sql.startswith("SELECT")] == []

    def test_a_column_that_a_table_lacks_is_added(self, request: pytest.FixtureRequest, demo_project: str) -> None:
        first, second = Column("day", ColumnType.DATE), Column("n", ColumnType.INTEGER)
        open_bigquery(request, COLUMNS, shapes=Shapes([TableShape("t", (first,), day="day")])).loaded("trades")
        wider = Shapes([TableShape("t", (first, second), day="day")])
        warehouse = BigqueryWarehouse(demo_project, "tron", COLUMNS, archive="demo", shapes=wider)
        assert warehouse.query("SELECT day, n FROM t").columns == ("day", "n")

    def test_tables_are_parted_by_day_and_clustered(self) -> None:
        day, n = Column("day", ColumnType.DATE), Column("n", ColumnType.INTEGER)
        shapes = Shapes([TableShape("t", (day, n), day="day")])
        created = {change.split("`")[1]: change for change in Dataset("p", "d", COLUMNS, shapes).changes({}, {})}
        assert created["p.d.records_trades"].endswith("PARTITION BY DATE(`ts`) CLUSTER BY `bot`, `kind`")
        assert created["p.d.t"].endswith("(`day` DATE, `n` INT64) PARTITION BY `day`")
        assert list(created) == ["p.d.records_trades", "p.d.loads", "p.d.t", "p.d.trades", "p.d.records"]

    def test_a_merge_looks_at_the_days_of_what_it_adds_only(self) -> None:
        load = Load("f00", "trades", "trade-logs", {"it's": 2}, NOW, NOW)
        script = Dataset("p", "d", COLUMNS, Shapes()).merge(load)
        days = (
            "ts BETWEEN TIMESTAMP '2024-06-03 14:30:00.000000+00:00' AND TIMESTAMP '2024-06-03 14:30:00.000000+00:00'"
        )
        assert f"ON target.id = staged.id AND target.{days}" in script
        assert r"STRUCT('it\'s' AS object, 2 AS records)" in script


def test_what_was_put_for_these_tests_is_gzip_without_content_encoding(
    warehouse: ArchivedParts, gcs_emulator: Emulator
) -> None:
    put_object(warehouse.bucket_prefix, part(0, 1))
    client = storage.Client("demo-tron", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # Google's
    blob = client.bucket(f"{warehouse.bucket_prefix}-tron-trade-logs").get_blob(part(0, 1).name)
    assert (blob.content_type, blob.content_encoding) == ("application/gzip", None)
