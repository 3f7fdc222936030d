"use strict";
// Shows what the drill says (every message has all of it), and says what people do.

const $ = (id) => document.getElementById(id);
const ICONS = { passed: "✓", failed: "✗", inconclusive: "?", aborted: "■", error: "!", running: "▶", "to come": "·" };
const BREAKERS = { closed: "●", "half-open": "◐", open: "○" };
const SILENT = 6000; // Milliseconds without a message after which the connection is lost: there is one every two seconds.

const kept = (name, make) => {
  let value = sessionStorage.getItem(name);
  if (value === null) { value = make(); sessionStorage.setItem(name, value); }
  return value;
};
const page = kept("page", () => crypto.randomUUID());
let state = null, offset = 0, heard = Date.now(), over = false, pulse = null, aborting = false, source = null;

const now = () => (Date.now() + offset) / 1000;
const me = () => $("me").value;
const holds = () => state !== null && state.holder !== null && state.holder.page === page.slice(0, 8);

// -- small things ------------------------------------------------------------------------------------------------------

const text = (element, value) => { if (element.textContent !== value) element.textContent = value; };
const make = (tag, classes, ...children) => {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.append(...children);
  return element;
};
const icon = (sign) => { const one = make("span", "icon", sign); one.setAttribute("aria-hidden", "true"); return one; };
const span = (seconds) => {
  const whole = Math.max(Math.round(seconds), 0), minutes = Math.floor(whole / 60);
  return minutes >= 60
    ? `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`
    : `${minutes}:${String(whole % 60).padStart(2, "0")}`;
};
const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");
const alarm = (element, sign, words) => {
  element.hidden = words === "";
  if (words !== "" && element.dataset.words !== words) element.replaceChildren(icon(sign), words);
  element.dataset.words = words;
};
// Builds children only where something has changed: what is read aloud, focused or selected stays.
const refill = (element, key, build) => {
  const told = JSON.stringify(key);
  if (element.dataset.key === told) return;
  element.dataset.key = told;
  element.replaceChildren(...build());
};

const send = async (path, body) => {
  const answer = await fetch(path, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ ...body, page, who: me() }),
    keepalive: true,
  });
  if (!answer.ok) throw new Error(((await answer.json().catch(() => ({}))).error) || `refused (${answer.status})`);
  return answer.json();
};
const does = (path, body) => send(path, body).then(
  () => { alarm($("wrong"), "?", ""); return true; },
  (error) => { alarm($("wrong"), "?", error.message); return false; });

// -- what is shown -----------------------------------------------------------------------------------------------------

const TILES = [
  ["rate", "Requests a second", (v) => v.toFixed(v < 10 ? 1 : 0), () => false],
  ["errors", "Errors a second", (v) => v.toFixed(1), (v) => v > 0],
  ["ttft_p95", "First token, p95", (v) => v < 1 ? `${Math.round(v * 1000)} ms` : `${v.toFixed(2)} s`, () => false],
  ["degraded_share", "Degraded answers", (v) => `${(v * 100).toFixed(v < 0.1 && v > 0 ? 1 : 0)} %`, (v) => v > 0],
];

const spark = (values) => {
  const NS = "http://www.w3.org/2000/svg", svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", "0 0 120 36");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const ground = document.createElementNS(NS, "path");
  ground.setAttribute("class", "spark-ground");
  ground.setAttribute("d", "M0 35H120");
  svg.append(ground);
  const most = Math.max(...values.filter((v) => v !== null), 1e-9), first = 120 - values.length;
  let d = "", pen = "M";
  values.forEach((value, index) => {
    if (value === null) { pen = "M"; return; }
    d += `${pen}${first + index} ${(34 - 31 * value / most).toFixed(1)}`;
    pen = "L";
  });
  const path = document.createElementNS(NS, "path");
  path.setAttribute("class", "spark");
  path.setAttribute("d", d);
  svg.append(path);
  return svg;
};

const showFigures = () => {
  refill($("tiles"), [state.figures, state.samples.length, state.ticked], () => TILES.map(([name, title, words, bad]) => {
    const value = state.figures === null ? null : state.figures[name];
    const known = value !== null && value !== undefined;
    const tile = make("div", "tile" + (known && bad(value) ? " bad" : ""), make("small", "", title));
    tile.append(make("b", "", known ? words(value) : "–"));
    tile.dataset.figure = name;
    tile.append(spark(state.samples.map((one) => one[name])));
    if (name === "errors") tile.append(make("small", "", known ? `${state.figures.errors_total} in this experiment` : ""));
    else {
      const most = Math.max(...state.samples.map((one) => one[name] ?? -1));
      tile.append(make("small", "", most >= 0 ? `most in the last minute: ${words(most)}` : ""));
    }
    return tile;
  }));
};

const showBreakers = () => refill($("breakers"), state.breakers, () => state.breakers.length
  ? state.breakers.map(({ name, state: how }) => make("li", how, icon(BREAKERS[how] || "?"), `${name} ${how}`))
  : [make("li", "", "none seen")]);

const showSteps = () => refill($("steps"), [state.steps, state.step], () => state.steps.map((one) => {
  const took = one.ended === null || one.began === null ? "" : `, ${span(one.ended - one.began)} min`;
  const names = make("span", one.state === "running" ? "now" : "", one.experiment);
  names.append(make("small", "", one.phase + took));
  const badge = make("span", "badge " + one.state, icon(ICONS[one.state] || "·"), one.state);
  const item = make("li", "", make("span", "soft", `${one.number}`), names, badge);
  if (one.state === "running") item.setAttribute("aria-current", "step");
  return item;
}));

const showLog = () => refill($("log"), [state.log.length, state.log.at(-1)], () => [...state.log].reverse().map((one) => {
  const bad = /^(ABORTED|TROUBLE)/.test(one.text);
  const said = make("span", "");
  said.append(make("b", "", one.by === null ? one.kind : `${one.by}${one.kind === "note" ? "" : ` · ${one.kind}`}`), ` ${one.text}`);
  const at = make("time", "", clock(one.at));
  at.dateTime = new Date(one.at * 1000).toISOString();
  return make("li", one.kind === "abort" || bad ? "bad" : "", at, said);
}));

const current = () => state.step === null ? null : state.steps[state.step - 1];
const GOALS = [["detected", "detect", "Detected"], ["mitigated", "mitigate", "Mitigated"]];

const showGoals = () => {
  const step = current();
  refill($("goals"), [state.step, step && [step.detected, step.mitigated, step.broken]], () => GOALS.map(([kind, goal, word]) => {
    const button = make("button", "", word);
    button.type = "button";
    button.dataset.kind = kind;
    button.addEventListener("click", () => does("/mark", { kind }));
    const told = make("p", ""), bar = make("progress", "");
    told.append(make("b", ""), make("small", ""));
    bar.max = 1;
    bar.setAttribute("aria-label", `Time to ${goal} against its goal`);
    const one = make("div", "goal", make("small", "", `Goal: ${goal} within ${span(state.goals[goal])} min`), told, bar, button);
    one.dataset.goal = kind;
    return one;
  }));
  for (const [kind, goal] of GOALS) {
    const box = $("goals").querySelector(`[data-goal=${kind}]`), limit = state.goals[goal];
    const mark = step && step[kind], since = step && step.broken;
    const until = mark ? mark.at : step && step.whole !== null ? step.whole : now();
    const took = since ? Math.max(until - since, 0) : null;
    const bold = box.querySelector("b"), small = box.querySelector("p small"), bar = box.querySelector("progress");
    bar.value = took === null ? 0 : Math.min(took / limit, 1);
    const missed = took !== null && took > limit;
    bold.className = mark && since ? (missed ? "missed" : "met") : missed ? "missed" : "";
    if (mark) {
      text(bold, since ? `${missed ? "✗ late" : "✓"} ${span(took)}` : "✓");
      text(small, `by ${mark.source === "alert" ? "alert " : ""}${mark.by} at ${clock(mark.at)}`);
    } else if (took === null) {
      text(bold, "–");
      text(small, "nothing has been broken yet");
    } else {
      text(bold, (missed ? "✗ " : "") + span(took));
      text(small, step.whole !== null ? `it was whole again, and not ${kind}` : missed ? "the goal is missed" : "since it was broken");
    }
  }
};

const showBroken = () => {
  const on = state.faults.filter((one) => one.until > now() - 3);
  $("faults").closest("section").classList.toggle("on", on.length > 0);
  refill($("faults"), on.map((one) => one.title), () => on.map((one) => {
    const left = make("span", "left", make("time", ""), make("small", "", "left"));
    return make("li", "", make("span", "", one.title), left);
  }));
  [...$("faults").children].forEach((item, index) => text(item.querySelector("time"), span(on[index].until - now())));
  let words = "";
  if (on.length === 0) {
    words = "Nothing is broken.";
    if (state.ended !== null) words = "Nothing is broken: the drill is over.";
    else if (state.abort !== null) words = "Nothing is broken any more.";
    else if (state.pause !== null) words = `Nothing is broken. The next experiment starts in ${span(state.pause - now())}.`;
    else if (state.step === null) words = "Nothing is broken, and nothing will be before somebody holds the abort.";
  }
  $("whole").hidden = words === "";
  text($("whole"), words);
  const step = current();
  const running = step !== null && step.state === "running";
  text($("phase"), running
    ? `${step.experiment}: ${state.phase}` + (state.total ? `, ${span(state.elapsed)} of ${span(state.total)}` : "")
    : "");
};

const showWho = () => {
  const { holder } = state, section = $("holder").closest("section");
  section.classList.toggle("nobody", holder === null && state.ended === null);
  section.classList.toggle("mine", holds());
  const silent = state.silence >= 2 * state.beat_every ? `, NOT HEARD OF for ${Math.round(state.silence)} s` : "";
  let words = `Nobody yet. Nothing is broken before one of ${state.holders.join(", ")} takes it, and keeps this page open.`;
  if (state.ended !== null) words = holder === null ? "Nobody did." : `${holder.who} held it.`;
  else if (holds()) {
    words = `You do, ${holder.who}, by this page: closed, or cut off for ${state.patience} s, it aborts the drill.`;
    if (holder.offered) words += ` Offered to ${holder.offered}; yours until it is taken.`;
  } else if (holder !== null) words = `${holder.who} does${silent}.` + (holder.offered ? ` Offered to ${holder.offered}.` : "");
  text($("holder"), words);
  refill($("me"), state.people, () => ["", ...state.people].map((name) => {
    const option = make("option", "", name || "choose your name");
    option.value = name;
    return option;
  }));
  if (me() === "" && sessionStorage.getItem("me")) $("me").value = sessionStorage.getItem("me");
  const may = state.holders.includes(me()) && state.ended === null
    && (holder === null || [holder.who, holder.offered].includes(me())) && !holds();
  $("take").hidden = !may;
  const others = state.holders.filter((name) => holder === null || name !== holder.who);
  const gives = holds() && others.length > 0 && state.ended === null;
  $("offering").hidden = $("offer").hidden = !gives;
  refill($("to"), others, () => others.map((name) => make("option", "", name)));
};

const show = () => {
  if (state === null) return;
  document.title = `${state.faults.length ? "● " : ""}${state.title} – control room`;
  text($("title"), state.title);
  text($("target"), state.drill.target ? `${state.drill.target} target` : "");
  text($("clock"), state.drill.began ? `${span((state.ended ? state.ended.at : now()) - state.drill.began)} since its start` : "");
  text($("plan"), [state.rollback && `Rollback: ${state.rollback}`, state.runbook && `Runbook: ${state.runbook}`,
    `${state.watching} watching`].filter(Boolean).join(" · "));
  showWho(); showBroken(); showFigures(); showBreakers(); showGoals(); showSteps(); showLog();
  const asked = state.abort;
  alarm($("aborted"), "■", asked === null || state.ended !== null ? "" : `Aborted by ${asked.by} at ${clock(asked.at)}: ${asked.why}`);
  over = state.ended !== null;
  $("over").className = "alarm " + (over ? (state.ended.outcome === "error" ? "failed" : state.ended.outcome) : "");
  alarm($("over"), over ? ICONS[state.ended.outcome] : "", over
    ? `The drill is over: ${state.ended.outcome}` + (state.ended.said ? ` (${state.ended.said})` : "") : "");
  for (const one of document.querySelectorAll("main button, main input, main select")) one.disabled = over;
  const idle = over || asked !== null || aborting;
  if ($("abort").disabled !== idle) $("abort").disabled = idle;
  text($("abort-word"), over ? "over" : asked !== null ? (state.faults.length ? "healing …" : "aborted") : aborting ? "aborting …" : "ABORT");
};

const tick = () => {
  show();
  const silent = Date.now() - heard;
  const lost = !over && silent > SILENT;
  document.body.classList.toggle("lost", lost);
  alarm($("lost"), "!", lost
    ? `CONNECTION LOST for ${Math.round(silent / 1000)} s: what is shown is old. ABORT may not get through: use Ctrl-C in the drill's terminal.`
    : "");
};

// -- what is done ------------------------------------------------------------------------------------------------------

const abort = async () => {
  if (aborting || over || (state !== null && state.abort !== null)) return;
  aborting = true;
  show();
  // Until it gets through: nothing else is as urgent.
  for (let tries = 1; !over; tries += 1) {
    try { await send("/abort", {}); alarm($("unreached"), "!", ""); return; }
    catch (error) {
      alarm($("unreached"), "!", `ABORT HAS NOT GOT THROUGH (${tries}×): trying again. Use Ctrl-C in the drill's terminal.`);
      await new Promise((done) => setTimeout(done, 250));
    }
  }
};

const typing = (element) => element.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName);
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "a" && event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey && !typing(event.target)) {
    event.preventDefault();
    abort();
  }
});
$("abort").addEventListener("click", abort);
$("me").addEventListener("change", () => { sessionStorage.setItem("me", me()); show(); });
$("take").addEventListener("click", () => does("/take", {}));
$("offer").addEventListener("click", () => does("/offer", { to: $("to").value }));
$("noting").addEventListener("submit", async (event) => {
  event.preventDefault();
  if ($("note").value.trim() !== "" && await does("/note", { what: $("note").value })) $("note").value = "";
});

const beat = () => { if (holds() && !over) fetch("/beat", {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ page }),
}).catch(() => {}); };

const hear = (message) => {
  state = JSON.parse(message.data);
  heard = Date.now();
  offset = state.now * 1000 - heard;
  if (pulse === null) {
    pulse = new Worker("/pulse.js");
    pulse.onmessage = beat;
    pulse.postMessage(state.beat_every * 1000);
  }
  tick();
  if (over) source.close();
};
// A browser connects again by itself, but not where it was refused, nor where a connection is dead and does not say so.
const listen = () => {
  if (source !== null) source.close();
  source = new EventSource("/events");
  source.onmessage = hear;
};

// A browser keeps six connections to one address at most: pages that nobody looks at must not take those that ABORT needs.
const seen = () => document.visibilityState === "visible" || holds();
document.addEventListener("visibilitychange", () => {
  if (!seen()) source?.close();
  else if (!over && source?.readyState !== EventSource.OPEN) { heard = Date.now(); listen(); }
});

if (seen()) listen();
setInterval(tick, 250);
setInterval(() => { if (!over && seen() && Date.now() - heard > SILENT) listen(); }, 3000);
