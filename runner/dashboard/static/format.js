/**
 * Numbers and times as text. Money and quantities are decimal strings from the server and stay exact: they are never
 * turned into floats. All times are UTC.
 */

const MONEY = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const PRICE = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 6 });
const QUANTITY = new Intl.NumberFormat("en-US", { maximumFractionDigits: 8 });
const COUNT = new Intl.NumberFormat("en-US");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const NOTHING = "–";

const given = (value) => value !== null && value !== undefined && value !== "";

export const money = (text) => (given(text) ? minus(MONEY.format(text)) : NOTHING);
export const price = (text) => (given(text) ? minus(PRICE.format(text)) : NOTHING);
export const quantity = (text) => (given(text) ? minus(QUANTITY.format(text)) : NOTHING);
export const count = (number) => COUNT.format(number);

/** -1, 0 or 1. */
export function sign(text) {
  if (!given(text) || /^[-+]?0*\.?0*(e[-+]?\d+)?$/i.test(text)) return 0;
  return String(text).startsWith("-") ? -1 : 1;
}

/** The number without its sign. */
export const absolute = (text) => String(text).replace(/^[-+]/, "");

/** `quantity` as the eye expects a minus: U+2212, as wide as a digit. */
const minus = (text) => text.replace(/^-/, "−");

/** Wall clock `03:52:58`, from an RFC 3339 time. */
export const clock = (rfc3339) => (rfc3339 ?? "").slice(11, 19);

/** A moment in market time: `4 Mar 2010`, with `14:05` unless it is midnight. */
export function moment(value) {
  if (!given(value)) return NOTHING;
  const date = new Date(typeof value === "number" ? value * 1000 : value);
  const day = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
  const time = date.toISOString().slice(11, 16);
  return time === "00:00" ? day : `${day} ${time}`;
}

/** A tick of a time axis whose neighbours are `step` seconds apart. */
export function tick(seconds, step) {
  const date = new Date(seconds * 1000);
  const month = MONTHS[date.getUTCMonth()];
  if (step >= 360 * 86_400) return `${date.getUTCFullYear()}`;
  if (step >= 28 * 86_400) return `${month} ${date.getUTCFullYear()}`;
  if (step >= 86_400) return `${date.getUTCDate()} ${month}`;
  const time = date.toISOString().slice(11, 16);
  return time === "00:00" ? `${date.getUTCDate()} ${month}` : time;
}

/** A length of time in its two largest units: `12 d 3 h`, `4 min`, `8 s`. */
export function duration(seconds) {
  if (!given(seconds)) return NOTHING;
  const units = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [unit, size] = units[first];
  const whole = Math.floor(seconds / size);
  const [nextUnit, nextSize] = units[first + 1] ?? [];
  const rest = nextSize && whole < 10 && unit !== "min" ? Math.floor((seconds % size) / nextSize) : 0;
  return rest > 0 ? `${whole} ${unit} ${rest} ${nextUnit}` : `${whole} ${unit}`;
}

/** When a run began, from seconds since 1970: `21 Nov 03:52`. */
export function began(seconds) {
  const date = new Date(seconds * 1000);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.toISOString().slice(11, 16)}`;
}
