"""The page in a real Chromium."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.dashboard.serve import DashboardServer
from runner.logging.log_types import Kind
from tests.dashboard.stage import START, Stage, play

pytestmark = pytest.mark.browser
Serve = Callable[..., DashboardServer]
ROOT = Path(__file__).parents[2]


class Visit:
    """An open page, and everything that it should not have done."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.set_default_timeout(15_000)
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_selector("#connection[data-state=live]")

    def wait_for(self, selector: str, text: str) -> None:
        self.page.locator(selector, has_text=text).first.wait_for()

    def wait_until(self, expression: str) -> None:
        self.page.wait_for_function(expression)


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visit]]:
    contexts = []

    def open_page(width: int = 1440, height: int = 900, scheme: str = "light", **options: Any) -> Visit:
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
        contexts.append(context)
        return Visit(context.new_page())

    yield open_page
    for context in contexts:
        context.close()


@contextmanager
def own_process(port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "tests.dashboard.stage_process", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def enter(process: subprocess.Popen[str], trade: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{trade}\n")
    process.stdin.flush()


def test_a_new_trade_appears_without_a_reload(stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]) -> None:
    play(stage, days=60)
    here = visit()
    here.open(serve_stage().url)
    here.page.evaluate("window.sameDocument = true")
    player = stage.player("vwap")
    player.enter("t-new", "IBM", 130, START, "close crossed above VWAP")
    here.wait_for("#trades tbody", "close crossed above VWAP")
    here.wait_for("#tail .said", "close crossed above VWAP")
    player.leave("t-new", "IBM", (130, 140), START, ("close crossed above VWAP", "target 140 reached"))
    here.wait_for("#trades tbody", "target 140 reached")
    here.wait_for("#trades tbody .gain", "+1,193.50")
    assert here.page.evaluate("window.sameDocument") is True


def test_the_page_stays_within_its_own_host_and_policy(
    stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]
) -> None:
    play(stage)
    url = serve_stage().url
    here = visit()
    here.open(url)
    here.wait_for("#equity-legend", "mean-reversion")
    here.page.keyboard.press("t")
    here.page.hover("#equity-chart", position={"x": 400, "y": 100})
    here.page.click("#tail summary >> nth=0")
    assert here.complaints == []
    assert [request for request in here.requests if not request.startswith(url)] == []


def test_what_bots_write_is_shown_as_text_never_as_markup(
    stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]
) -> None:
    hostile = "<img src=x onerror=\"document.title='owned'\"><b>bold</b>"
    player = stage.player("vwap")
    player.enter("<b>t</b>", "IBM", 130, START, hostile)
    player.say(Kind.WARNING, {"message": hostile})
    player.say(Kind.DECISION, {"symbol": "<i>X</i>", "outcome": "near", "reason": hostile, "action": "hold"})
    here = visit()
    here.open(serve_stage().url)
    for place in ("#trades", "#alerts", "#decisions", "#tail"):
        here.wait_for(place, hostile)
    assert here.page.locator("#panels img, #tail b, #trades .reason b b").count() == 0
    assert here.complaints == []


def test_a_stalled_server_is_called_stale_and_then_live_again(visit: Callable[..., Visit]) -> None:
    with own_process() as (process, url):
        here = visit()
        here.open(url)
        process.send_signal(signal.SIGSTOP)
        here.page.wait_for_selector("#connection[data-state=stale]")
        process.send_signal(signal.SIGCONT)
        here.page.wait_for_selector("#connection[data-state=live]")
        enter(process, "after-the-stall")
        here.wait_for("#trades", "why after-the-stall")


def test_the_page_goes_on_after_a_restart_of_the_server(visit: Callable[..., Visit]) -> None:
    with own_process() as (process, url):
        here = visit()
        here.open(url)
        enter(process, "before")
        here.wait_for("#trades", "why before")
    here.page.wait_for_selector("#connection[data-state=reconnecting]")
    with own_process(int(url.rpartition(":")[2])) as (process, _):
        enter(process, "after")
        here.wait_for("#trades", "why after")
        here.page.wait_for_selector("#connection[data-state=live]")
        here.page.locator("#trades", has_text="why before").wait_for(state="detached")


def test_the_tail_can_be_paused_and_filtered_from_the_keyboard(
    stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]
) -> None:
    player = stage.player("vwap")
    player.say(Kind.SYSTEM_EVENT, {"message": "first"})
    here = visit()
    here.open(serve_stage().url)
    here.wait_for("#tail", "first")
    here.page.keyboard.press("Space")
    player.say(Kind.SYSTEM_EVENT, {"message": "second"})
    here.wait_for("#tail-pause", "Resume, 1 new")
    assert here.page.locator("#tail .record").count() == 1
    here.page.keyboard.press("Space")
    here.wait_for("#tail", "second")
    here.page.keyboard.press("/")
    here.page.keyboard.type("second t")
    here.wait_for("#tail-empty", "None of the newest 2 records match.")
    here.page.keyboard.press("Escape")
    here.wait_for("#tail", "first")


def test_routine_records_are_shown_on_request(stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]) -> None:
    player = stage.player("vwap")
    player.say(Kind.SYSTEM_EVENT, {"message": "started"})
    player.beat()
    here = visit()
    here.open(serve_stage().url)
    here.wait_for("#tail", "started")
    assert here.page.locator("#tail .record").count() == 1
    here.page.select_option("#tail-kind", "all")
    here.wait_for("#tail", "heartbeat")


def test_the_tail_keeps_a_bounded_number_of_rows(stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]) -> None:
    player = stage.player("vwap")
    here = visit()
    here.open(serve_stage().url)
    for number in range(3000):
        player.say(Kind.SYSTEM_EVENT, {"message": f"event {number}"})
    here.wait_for("#tail", "event 2999")
    here.wait_for("#tail-aside", "of 3,000")
    assert here.page.locator("#tail .record").count() <= 500


def test_a_closed_position_leaves_the_page(stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]) -> None:
    player = stage.player("vwap")
    player.mark(100_000, START)
    player.hold("IBM", 100, 130, 131.5, START)
    here = visit()
    here.open(serve_stage().url)
    here.wait_for("#positions .gain", "+150.00")
    player.hold("IBM", 0, 130, 131.5, START)
    here.wait_for("#positions-empty", "Flat.")


def test_a_position_that_an_earlier_run_left_open_is_not_shown(
    stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]
) -> None:
    stage.player("vwap", began_seconds_ago=60).hold("IBM", 100, 130, 131.5, START)
    stage.player("vwap").mark(100_000, START)
    here = visit()
    here.open(serve_stage().url)
    here.wait_for("#equity-legend", "100,000.00")
    here.wait_for("#positions-empty", "Flat.")


def test_an_earlier_run_can_be_chosen(stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]) -> None:
    old, new = stage.player("vwap", began_seconds_ago=60), stage.player("vwap")
    for player, last in ((old, 90_000), (new, 110_000)):
        player.mark(100_000, START)
        player.mark(last, START + timedelta(days=1))
    here = visit()
    here.open(serve_stage().url)
    here.wait_for("#equity-legend", "110,000.00")
    here.page.select_option("#equity-run", old.run)
    here.wait_for("#equity-legend", "90,000.00")
    here.wait_until("document.querySelector('#equity-chart canvas') !== null")


def test_a_zoom_stays_while_news_come_in_until_the_whole_run_is_asked_for(
    stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]
) -> None:
    player = stage.player("vwap")
    for day in range(100):
        player.mark(100_000 + day, START + timedelta(days=day))
    here = visit()
    here.open(serve_stage().url)
    here.wait_for("#equity-legend", "100,099.00")
    drag(here, "#equity-chart", from_x=200, to_x=400)
    here.page.wait_for_selector("#equity-whole")
    here.page.mouse.move(5, 5)
    player.mark(123_456, START + timedelta(days=100))
    here.wait_for("#equity-legend", "123,456.00")
    assert here.page.is_visible("#equity-whole")
    here.page.click("#equity-whole")
    here.page.wait_for_selector("#equity-whole", state="hidden")


def drag(here: Visit, selector: str, *, from_x: int, to_x: int) -> None:
    box = here.page.locator(selector).bounding_box()
    here.page.mouse.move(box["x"] + from_x, box["y"] + 100)
    here.page.mouse.down()
    here.page.mouse.move(box["x"] + to_x, box["y"] + 100, steps=4)
    here.page.mouse.up()


def test_a_halt_is_seen_at_once(stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]) -> None:
    here = visit()
    player = stage.player("vwap")
    player.beat()
    here.open(serve_stage().url)
    here.wait_for("#sum-bots", "1 running")
    player.beat(status="halted", halted=True)
    here.wait_for("#halted", "Halted: vwap")
    here.wait_for("#sum-bots", "1 halted")


def test_trades_are_counted_between_two_heartbeats(
    stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]
) -> None:
    here = visit()
    player = stage.player("vwap")
    player.beat()
    here.open(serve_stage().url)
    here.wait_for("#bots", "0 open")
    player.leave("t-1", "IBM", (130, 140), START, ("in", "out"))
    player.hold("AAPL", 100, 30, 31, START)
    here.wait_for("#sum-trades", "1")
    here.wait_for("#bots", "1 open")


def test_every_panel_without_news_says_so(serve_stage: Serve, visit: Callable[..., Visit]) -> None:
    here = visit()
    here.open(serve_stage().url)
    for panel in ("equity", "positions", "trades", "bots", "alerts", "decisions", "tail"):
        assert len(here.page.inner_text(f"#{panel}-empty")) > 20, panel


def test_the_theme_follows_the_system_until_it_is_chosen_and_is_remembered(
    serve_stage: Serve, visit: Callable[..., Visit]
) -> None:
    url = serve_stage().url
    here = visit(scheme="dark")
    here.open(url)
    assert theme_of(here) == "dark"
    here.page.keyboard.press("t")
    assert theme_of(here) == "light"
    here.page.reload()
    assert theme_of(here) == "light"


def theme_of(here: Visit) -> Any:
    return here.page.evaluate("document.documentElement.dataset.theme")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_the_page_fits_its_window_and_can_be_read(
    stage: Stage, serve_stage: Serve, visit: Callable[..., Visit], tmp_path: Path, scheme: str, width: int
) -> None:
    play(stage)
    here = visit(width=width, height=844, scheme=scheme)
    here.open(serve_stage().url)
    here.wait_for("#equity-legend", "mean-reversion")
    here.wait_for("#tail", "circuit_breaker_trip")
    (tmp_path / f"{scheme}-{width}.png").write_bytes(here.page.screenshot(full_page=True))
    assert here.page.evaluate("document.documentElement.scrollWidth") <= width
    assert here.page.evaluate(PAINTED_PIXELS) > 1000
    pale = [found for found in here.page.evaluate(CONTRASTS) if found["contrast"] < 4.5]
    assert pale == []


def test_each_frame_is_cheap_while_records_pour_in(
    stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]
) -> None:
    players = play(stage)
    here = visit()
    here.open(serve_stage().url)
    session = here.page.context.new_cdp_session(here.page)
    session.send("Performance.enable")
    before = measured(session)
    for day in range(700, 1700):
        for player in players:
            player.mark(player.equity + 1, START + timedelta(days=day))
    here.wait_for("#foot-records", f"{2704 + 3000:,} records")
    spent = measured(session)["ScriptDuration"] - before["ScriptDuration"]
    assert spent < 5


def measured(session: Any) -> dict[str, float]:
    return {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}


def test_a_visitor_without_a_mouse_reaches_everything_and_sees_where_he_is(
    stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]
) -> None:
    play(stage, days=60)
    here = visit()
    here.open(serve_stage().url)
    here.wait_for("#tail", "trade entry")
    seen = []
    for _ in range(14):
        here.page.keyboard.press("Tab")
        seen.append(here.page.evaluate("document.activeElement.id || document.activeElement.className"))
        assert here.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", seen[-1]
    assert seen[0] == "skip"
    assert {"theme", "equity-run", "equity-chart", "tail-kind", "tail-filter", "tail-pause"} <= set(seen)


def test_the_chart_is_read_with_the_arrow_keys(stage: Stage, serve_stage: Serve, visit: Callable[..., Visit]) -> None:
    player = stage.player("vwap")
    for day in range(3):
        player.mark(100_000 + day, START + timedelta(days=day))
    here = visit()
    here.open(serve_stage().url)
    here.wait_for("#equity-legend", "100,002.00")
    here.page.focus("#equity-chart")
    here.page.keyboard.press("Home")
    here.wait_for("#equity-when", "4 Jan 2010")
    here.page.keyboard.press("ArrowRight")
    here.wait_for("#equity-when", "5 Jan 2010")
    here.wait_for("#equity-legend", "100,001.00")
    assert re.search(r"vwap: from 100,000.00 on 4 Jan 2010 to 100,002.00", here.page.inner_text("#equity-text"))


PAINTED_PIXELS = """() => {
  const canvas = document.querySelector("#equity-chart canvas");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let painted = 0;
  for (let i = 3; i < pixels.length; i += 4) if (pixels[i] > 0) painted += 1;
  return painted;
}"""

CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [r, g, b] = channels(colour).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let e = element; e !== null; e = e.parentElement) {
      const [, , , alpha = 1] = channels(getComputedStyle(e).backgroundColor);
      if (alpha === 1) return getComputedStyle(e).backgroundColor;
    }
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text !== null; text = texts.nextNode()) {
    const element = text.parentElement;
    if (text.data.trim() === "" || !element.checkVisibility()) continue;
    for (const running of element.getAnimations({ subtree: false })) running.finish();
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
    found.push({ text: text.data.slice(0, 40), contrast: (a + 0.05) / (b + 0.05) });
  }
  return found;
}"""
