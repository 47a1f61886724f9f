/** Everything the page knows. Panels read it; the stream and the snapshot write it, naming the topics they touched. */

const MAX_RECORDS = 500;
const MAX_POINTS = 4000;

export class State {
  constructor() {
    this.clear();
  }

  clear() {
    this.documents = new Map();
    this.equity = { series: new Map(), current: [], total: null };
    this.counts = { records: 0, closed: {}, warnings: 0, errors: 0 };
    this.troubles = [];
    this.records = [];
    this.known = new Set();
    this.thinned = 0;
    this.mode = "";
  }

  /** Start over from a snapshot. Every topic is touched. */
  replace(snapshot) {
    this.clear();
    this.mode = snapshot.mode;
    this.troubles = snapshot.troubles;
    this.takeDocuments(snapshot.documents);
    this.takeEquity(snapshot.equity);
    this.takeRecords({ counts: snapshot.counts, records: snapshot.records, seen: snapshot.records.length });
    return ["all"];
  }

  /** Returns the names of the collections that changed. */
  takeDocuments(documents) {
    for (const { collection, key, record_id, fields } of documents) {
      if (!this.documents.has(collection)) this.documents.set(collection, new Map());
      this.documents.get(collection).set(key, { ...fields, key, record_id });
    }
    return [...new Set(documents.map((document) => document.collection))];
  }

  takeEquity({ series, current, total }) {
    this.equity.current = current;
    this.equity.total = total;
    for (const news of series) {
      const known = this.equity.series.get(news.run);
      this.equity.series.set(news.run, { ...news, points: join(known?.points ?? [], news.points) });
    }
    return ["equity"];
  }

  takeRecords({ counts, records, seen }) {
    const fresh = records.filter((record) => !this.known.has(record.id));
    for (const record of fresh) this.known.add(record.id);
    this.counts = counts;
    this.thinned += seen - records.length;
    this.records.push(...fresh);
    for (const record of this.records.splice(0, this.records.length - MAX_RECORDS)) this.known.delete(record.id);
    return ["records", "counts"];
  }

  takeTroubles(troubles) {
    this.troubles = troubles;
    return ["troubles"];
  }

  /** The documents of a collection, newest first. */
  newest(collection, limit = Infinity) {
    const all = [...(this.documents.get(collection)?.values() ?? [])];
    return all.sort((a, b) => compare(b.ts, a.ts) || compare(b.record_id, a.record_id)).slice(0, limit);
  }

  /** Positions that are open in the newest run of their bot. */
  openPositions() {
    const current = new Set(this.equity.current);
    return this.newest("live_positions").filter(
      (position) => !/^[-+]?0*\.?0*$/.test(position.quantity) && (current.size === 0 || current.has(position.run)),
    );
  }

  /** Closed trades of a bot's run: as it said itself, or as the journal says since, whichever is newer. */
  closedTrades(status) {
    return Math.max(status.trades ?? 0, this.counts.closed[status.run] ?? 0);
  }

  /** All bots that were ever heard, in order: the place of a bot is its colour. */
  botNames() {
    const names = [...this.equity.series.values()].map((series) => series.bot);
    for (const status of this.documents.get("live_system_status")?.values() ?? []) names.push(status.bot);
    return [...new Set(names)].sort();
  }
}

const compare = (a = "", b = "") => (a < b ? -1 : a > b ? 1 : 0);

/** Points in order of time. One that is not newer than the last replaces it or is no news. */
function join(points, news) {
  const joined = [...points];
  for (const point of news) {
    const last = joined.at(-1)?.[0] ?? -Infinity;
    if (point[0] === last) joined.pop();
    if (point[0] >= last) joined.push(point);
  }
  return joined.length > MAX_POINTS ? thin(joined, MAX_POINTS / 2) : joined;
}

/** The extremes of equal stretches: at most `limit` points. */
function thin(points, limit) {
  const size = Math.ceil((points.length - 2) / (limit / 2 - 1));
  const kept = [points[0]];
  for (let start = 1; start < points.length - 1; start += size) {
    const stretch = points.slice(start, Math.min(start + size, points.length - 1));
    const low = stretch.reduce((a, b) => (b[1] < a[1] ? b : a));
    const high = stretch.reduce((a, b) => (b[1] > a[1] ? b : a));
    kept.push(...(low === high ? [low] : low[0] < high[0] ? [low, high] : [high, low]));
  }
  return [...kept, points.at(-1)];
}
