/** What a record says, in one line. */

import { count, money, price, quantity } from "/static/format.js";

const ROUTINE = new Set(["metric", "position", "heartbeat", "summary", "usage", "debug", "seal"]);

/** Kinds that come all the time and tell little one by one. */
export const isRoutine = (kind) => ROUTINE.has(kind);

const because = (reason) => (reason ? ` – ${reason}` : "");
const traded = (data) => `${data.action} ${quantity(data.quantity)} ${data.symbol}`;

const SAY = {
  trade_entry: (data) => `${traded(data)} at ${price(data.price)}${because(data.decision_reasoning)}`,
  trade_exit: (data) => `${data.symbol} closed at ${price(data.exit_price ?? data.price)}, net ${money(data.net_profit_loss)}${because(data.exit_reasoning)}`,
  order: (data) => `${data.side} ${quantity(data.quantity)} ${data.symbol} ${data.order_type ?? ""} ${data.status}${because(data.reason)}`,
  fill: (data) => `${data.side} ${quantity(data.quantity)} ${data.symbol} at ${price(data.price)}, fee ${money(data.commission)}`,
  position: (data) => `${data.symbol} ${quantity(data.quantity)} at ${price(data.market_price)}, unrealised ${money(data.unrealized_pnl)}`,
  risk_event: (data) => `${data.event_type} → ${data.action_taken}${because(data.message)}`,
  audit: (data) => `${data.action} ${data.subject}${because(data.reason)}`,
  decision: (data) => `${data.symbol} ${data.action} ${data.outcome}${because(data.reason)}`,
  reflection: (data) => data.text,
  error: (data) => `${data.type}: ${data.message}`,
  warning: (data) => data.message,
  system_event: (data) => data.message,
  debug: (data) => data.message,
  heartbeat: (data) => `${data.status}, equity ${money(data.equity)}, ${data.open_positions ?? 0} open`,
  metric: (data) => `${data.name} ${data.value} ${data.unit ?? ""}`,
  summary: (data) => `${data.date}: ${Object.entries(data.metrics ?? {}).map(([name, value]) => `${name} ${value ?? "–"}`).join(", ")}`,
  usage: (data) => `${data.service} ${data.operation} × ${count(data.count)}`,
};

/** The line of a record; of a kind that is not known here, its data. */
export function say(record) {
  const data = record.data ?? {};
  return SAY[record.kind]?.(data) ?? JSON.stringify(data);
}
