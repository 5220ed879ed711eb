// The figures of a page of /metrics: counts by model and version, and what is said of them.

const NONE = "\u2013";

export const pairOf = (name, version) => JSON.stringify([name, version]);

// Labels may hold anything, line ends aside: those are escaped.
export function counts(page) {
  const found = new Map();
  for (const line of page.split("\n")) {
    const parts = /^bedplate_request(s_total|_duration_seconds_bucket)\{(.*)\} (\S+)$/s.exec(line);
    if (!parts) continue;
    const labels = new Map();
    for (const [, name, text] of parts[2].matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/gs))
      labels.set(name, text.replace(/\\(.)/gs, (_, letter) => (letter === "n" ? "\n" : letter)));
    const pair = pairOf(labels.get("model"), labels.get("version"));
    if (!found.has(pair)) found.set(pair, {all: 0, refused: 0, failed: 0, within: new Map()});
    add(found.get(pair), labels, Number(parts[3]));
  }
  return found;
}

function add(counted, labels, value) {
  const [code, edge] = [labels.get("code"), labels.get("le")];
  if (edge !== undefined) {
    counted.within.set(edge === "+Inf" ? Infinity : Number(edge), value);
    return;
  }
  counted.all += value;
  if (code.startsWith("4")) counted.refused += value;
  if (code.startsWith("5")) counted.failed += value;
}

export function difference(now, then) {
  if (!then) return now;
  const within = new Map([...now.within].map(([edge, value]) => [edge, value - (then.within.get(edge) ?? 0)]));
  return {all: now.all - then.all, refused: now.refused - then.refused, failed: now.failed - then.failed, within};
}

// Linear between two edges, as Prometheus does it; outside of them only the edge is known.
export function quantile(share, within) {
  const edges = [...within].sort(([a], [b]) => a - b);
  const total = edges.at(-1)?.[1] ?? 0;
  if (!total) return NONE;
  const index = edges.findIndex(([, value]) => value >= share * total);
  if (index === 0) return `< ${exactTime(edges[0][0])}`;
  const [[low, below], [high, upto]] = [edges[index - 1], edges[index]];
  if (high === Infinity) return `> ${exactTime(low)}`;
  return time(low + ((high - low) * (share * total - below)) / (upto - below));
}

const digits = (value) => String(Number(value.toPrecision(value >= 100 ? 3 : 2)));
const time = (seconds) => (seconds < 1 ? `${digits(seconds * 1000)} ms` : `${digits(seconds)} s`);
const exactTime = (seconds) =>
  seconds < 1 ? `${Number((seconds * 1000).toPrecision(12))} ms` : `${seconds} s`;

// How long the page has watched; none yet will be a minute.
export function span(seconds) {
  if (seconds && seconds < 58) return `${Math.ceil(seconds)} s`;
  return seconds < 90 ? "minute" : `${Math.round(seconds / 60)} min`;
}

// Rounded down near the whole: 99.999 % is not all.
export function percent(some, all) {
  if (!all) return NONE;
  const value = (100 * some) / all;
  return `${value > 99 ? Math.floor(value * 100 + 1e-9) / 100 : Number(value.toPrecision(2))} %`;
}

// A rate over less is chance: one request that was just sent is not twelve per second.
const RATE_AFTER_S = 2;

// The rows of a model's table: a word, the recent figure, the figure since the start.
export function rows(recent, total, seconds) {
  const both = (figure) => [recent, total].map((counted) => (counted ? figure(counted) : NONE));
  const rate = recent && seconds >= RATE_AFTER_S ? `${digits(recent.all / seconds)} per s` : NONE;
  return [
    ["Requests", rate, total ? String(total.all) : NONE],
    ["p50", ...both(({within}) => quantile(0.5, within))],
    ["p95", ...both(({within}) => quantile(0.95, within))],
    ["Refused (4xx)", ...both(({all, refused}) => percent(refused, all))],
    ["Failed (5xx)", ...both(({all, failed}) => percent(failed, all))],
  ];
}

// Exact, as the histogram has an edge at the objective.
export function objective(slo, total) {
  const answered = total?.within.get(Infinity) ?? 0;
  const within = total?.within.get(slo) ?? 0;
  const met = answered ? within >= 0.95 * answered : null;
  const found = answered ? `${percent(within, answered)} since the start, ${met ? "met" : "missed"}` : "no answer yet";
  return {met, text: `Objective: 95 % within ${exactTime(slo)}; ${found}.`};
}
