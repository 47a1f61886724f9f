/**
 * The connection: a snapshot, then the events behind it.
 *
 * States: `connecting`, `live`, `stale` (open, but nothing was heard for three beats), `reconnecting`. The browser
 * resumes an interrupted stream by itself with the last cursor; `resync` means that this was too late: start over.
 */

const EVENTS = ["documents", "records", "equity", "troubles"];
const BEATS_UNTIL_STALE = 3;
const BEATS_UNTIL_RECONNECT = 9;

const pause = () => new Promise((resolve) => setTimeout(resolve, 500 + Math.random() * 1000));

export class Stream {
  /** `onSnapshot(snapshot)`, `onEvent(name, data)`, `onState(state)`. */
  constructor({ onSnapshot, onEvent, onState }) {
    this.onSnapshot = onSnapshot;
    this.onEvent = onEvent;
    this.onState = onState;
    this.source = null;
    this.watchdog = null;
    this.starting = false;
  }

  /** Load everything and follow it. While this is under way, another call does nothing. */
  async start() {
    if (this.starting) return;
    this.starting = true;
    this.source?.close();
    clearInterval(this.watchdog);
    const snapshot = await this.fetchSnapshot();
    this.starting = false;
    this.onSnapshot(snapshot);
    this.beat = snapshot.beat_seconds * 1000;
    this.open(snapshot.cursor);
    this.watchdog = setInterval(() => this.watch(), Math.min(this.beat, 1000));
  }

  async fetchSnapshot() {
    for (;;) {
      try {
        const response = await fetch("/api/snapshot");
        if (response.ok) return await response.json();
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // a TypeError is how fetch says that the network failed
      }
      this.onState("reconnecting");
      await pause();
    }
  }

  open(cursor) {
    this.heard = performance.now();
    this.source = new EventSource(`/api/stream?since=${encodeURIComponent(cursor)}`);
    this.source.onopen = () => this.alive();
    this.source.onerror = () => this.interrupted();
    this.source.addEventListener("hb", () => this.alive());
    this.source.addEventListener("resync", () => this.start());
    for (const name of EVENTS) {
      this.source.addEventListener(name, (event) => {
        this.alive();
        this.onEvent(name, JSON.parse(event.data));
      });
    }
  }

  alive() {
    this.heard = performance.now();
    this.onState("live");
  }

  interrupted() {
    this.onState("reconnecting");
    if (this.source.readyState === EventSource.CLOSED) pause().then(() => this.start());
  }

  watch() {
    const silence = performance.now() - this.heard;
    if (this.source.readyState !== EventSource.OPEN || silence < BEATS_UNTIL_STALE * this.beat) return;
    this.onState("stale");
    if (silence > BEATS_UNTIL_RECONNECT * this.beat) this.start();
  }
}
