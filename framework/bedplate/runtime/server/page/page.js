// The page of a model server: what it serves, a form to try each model, and figures read from /metrics.
// Every text that comes from the server is set as textContent or value; nothing is ever parsed as markup.

import {counts, difference, objective, pairOf, rows, span} from "./figures.js";
import {asCurl, cut, inPython, laidOut, plural, sentence} from "./texts.js";

const POLL_MS = 3000;
const WINDOW_MS = 60_000;
const ANSWER_WITHIN_MS = 60_000;

const cards = new Map(); // a model's name to its card: {told, element, figures}
let key = ""; // in memory only
let slo = null;
let snapshots = []; // of the last minute: {at, models}
let turn = 0; // a poll that is overtaken by a later one says nothing
let timer = 0;

const the = (id) => document.getElementById(id);

function ask(path, options = {}) {
  const headers = {...options.headers};
  if (key) headers["X-API-Key"] = String.fromCharCode(...new TextEncoder().encode(key));
  return fetch(path, {cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS), ...options, headers});
}

// ---- what is served

async function poll() {
  const mine = ++turn;
  clearTimeout(timer);
  try {
    const [told, metrics] = await Promise.all([ask("page/service.json"), ask("metrics")]);
    if (told.status !== 401 && !(told.ok && metrics.ok)) throw new Error(`${told.status}, ${metrics.status}`);
    const [service, page] = told.status === 401 ? [null, ""] : [await told.json(), await metrics.text()];
    if (mine !== turn) return;
    if (!service) return lock();
    show(service, page);
  } catch {
    if (mine === turn) say("does not answer", "bad");
  }
  if (mine === turn) timer = setTimeout(tick, POLL_MS);
}

function show(service, page) {
  the("unlock").hidden = true;
  the("locked").hidden = !key;
  showService(service);
  count(page);
}

function lock() {
  const first = the("unlock").hidden;
  the("unlock").hidden = the("locked").hidden = false;
  the("models").replaceChildren();
  cards.clear();
  say("locked", "");
  the("refused").textContent = key ? "This is not the key." : "";
  key = "";
  if (first) the("key").focus();
}

function say(word, mood) {
  if (the("state").textContent !== word) the("state").textContent = word;
  the("state").className = mood;
}

function showService(service) {
  the("service").textContent = document.title = service.name;
  the("about").textContent = `bedplate ${service.version}, Open Inference Protocol v2`;
  if (service.ready) say("ready", "good");
  else say(service.models.length ? "ending" : "loading its models", "");
  slo = service.slo_p95_s;
  const groups = new Map();
  for (const model of service.models) groups.set(model.name, [...(groups.get(model.name) ?? []), model]);
  for (const [name, card] of cards) {
    if (card.told !== JSON.stringify(groups.get(name))) {
      card.element.remove();
      cards.delete(name);
    }
  }
  [...groups].forEach(([name, versions], index) => {
    if (!cards.has(name)) cards.set(name, newCard(name, versions, groups.size < 3 || cards.size === 0));
    const [{element}, there] = [cards.get(name), the("models").children[index]];
    if (element !== there) the("models").insertBefore(element, there ?? null); // to move one is to lose its focus
  });
}

// ---- one model

function newCard(name, versions, open) {
  const element = the("model").content.firstElementChild.cloneNode(true);
  const part = (selector) => element.querySelector(selector);
  const card = {told: JSON.stringify(versions), element, figures: () => {}};
  element.open = open;
  part(".name").textContent = name;
  const select = part("select");
  for (const model of versions) {
    const option = new Option(model.latest ? `${model.version} (asked when none is named)` : model.version);
    option.value = model.version;
    select.append(option);
  }
  part(".versions").hidden = versions.length === 1;
  const show = () => showVersion(card, versions.find((model) => model.version === select.value), part);
  select.addEventListener("change", show);
  part(".copy").addEventListener("click", () => copy(part(".command"), part(".copied")));
  part(".answer").setAttribute("aria-label", `Answer of ${name}`);
  part(".command").setAttribute("aria-label", `Command for ${name}`);
  select.value = versions.find((model) => model.latest).version;
  show();
  return card;
}

function showVersion(card, model, part) {
  const {name, version, inputs, outputs} = model;
  const sides = [[inputs, "input"], [outputs, "output"]].map(([side, word]) => plural(side.length, word));
  part(".brief").textContent = `version ${version}, ${sides.join(", ")}`;
  const [taken, given] = part(".signature").tBodies;
  fill(taken, inputs);
  fill(given, outputs);
  part(".free").hidden = ![...inputs, ...outputs].some((tensor) => tensor.shape.includes(-1));
  const [form, text] = [part("form"), part("textarea")];
  const asked = model.latest ? "" : `/versions/${encodeURIComponent(version)}`;
  const where = `v2/models/${encodeURIComponent(name)}${asked}/infer`;
  const command = () => {
    const base = new URL(document.baseURI);
    const locked = key !== "";
    part(".command").textContent =
      model.example === null ? inPython(model, base, locked) : asCurl(new URL(where, base).href, text.value, locked);
  };
  form.hidden = model.example === null;
  part(".where").textContent = `/${where}`;
  part(".how").textContent = form.hidden ? "Try it from Python" : "The same with curl";
  part(form.hidden ? ".no-form" : ".left-out").textContent = model.note ? `${sentence(model.note)}.` : "";
  part(form.hidden ? ".left-out" : ".no-form").textContent = "";
  part(".outcome").textContent = part(".copied").textContent = "";
  part(".answer").hidden = true;
  const reset = () => {
    text.value = model.example ?? "";
    text.rows = Math.min(text.value.split("\n").length + 1, 18);
    command();
  };
  part(".reset").onclick = reset;
  text.oninput = command;
  text.onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    send(where, text.value, part);
  };
  card.figures = () => showFigures(pairOf(name, version), part);
  reset();
  card.figures();
}

function fill(body, tensors) {
  while (body.rows.length > 1) body.deleteRow(1);
  for (const {name, datatype, shape} of tensors) {
    const row = body.insertRow();
    for (const text of [name, datatype, `[${shape.join(", ")}]`]) row.insertCell().textContent = text;
  }
}

async function send(where, body, part) {
  const [button, outcome, answer] = [part("button.main"), part(".outcome"), part(".answer")];
  if (button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  outcome.textContent = "Waiting for the answer";
  outcome.className = "outcome";
  const began = performance.now();
  try {
    const got = await ask(where, {method: "POST", headers: {"Content-Type": "application/json"}, body});
    const bytes = new Uint8Array(await got.arrayBuffer());
    const took = `${(performance.now() - began).toFixed(1)} ms`;
    const length = Number(got.headers.get("inference-header-content-length") ?? bytes.length);
    const text = new TextDecoder().decode(bytes.subarray(0, length));
    outcome.textContent = got.ok ? `Answered in ${took}` : `${got.status}: ${errorIn(text)}`;
    outcome.classList.add(got.ok ? "good" : "bad");
    const rest = length < bytes.length ? `\n+ ${bytes.length - length} bytes of tensors` : "";
    answer.textContent = cut(laidOut(text)) + rest;
    answer.hidden = !got.ok;
  } catch (error) {
    outcome.textContent = error.name === "TimeoutError" ? "No answer within a minute" : "The server does not answer";
    outcome.classList.add("bad");
    answer.hidden = true;
  }
  button.removeAttribute("aria-disabled");
  poll();
}

function errorIn(text) {
  try {
    return String(JSON.parse(text).error);
  } catch {
    return cut(text);
  }
}

async function copy(source, told) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    told.textContent = "Copied";
  } catch { // not allowed, or not a secure origin
    getSelection().selectAllChildren(source);
    told.textContent = "Selected: copy it with the keyboard";
  }
}

// ---- figures

function count(page) {
  const models = counts(page);
  const at = performance.now();
  const wentBack = ([pair, then]) => then.all > (models.get(pair)?.all ?? 0);
  if (snapshots.length && [...snapshots.at(-1).models].some(wentBack)) snapshots = []; // another server
  snapshots.push({at, models});
  while (snapshots.length > 2 && at - snapshots[1].at >= WINDOW_MS) snapshots.shift();
  for (const card of cards.values()) card.figures();
}

function showFigures(pair, part) {
  const [first, last] = [snapshots[0], snapshots.at(-1)];
  const total = last?.models.get(pair);
  const seconds = last ? (last.at - first.at) / 1000 : 0;
  const recent = total && seconds ? difference(total, first.models.get(pair)) : null;
  part(".window").textContent = `Last ${span(seconds)}`;
  const body = part(".traffic").tBodies[0];
  for (const [index, [word, ...texts]] of rows(recent, total, seconds).entries()) {
    const row = body.rows[index] ?? newRow(body, word);
    texts.forEach((text, column) => (row.cells[column + 1].textContent = text));
  }
  part(".objective").hidden = slo === null;
  if (slo === null) return;
  const {met, text} = objective(slo, total);
  part(".objective").textContent = text;
  part(".objective").className = `objective ${met === null ? "quiet" : met ? "good" : "bad"}`;
}

function newRow(body, word) {
  const row = body.insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = word;
  row.append(head, document.createElement("td"), document.createElement("td"));
  return row;
}

// ---- the page's own life

the("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  key = the("key").value;
  the("key").value = "";
  poll();
});
const tick = () => document.visibilityState === "visible" && poll();
document.addEventListener("visibilitychange", tick);
tick();
