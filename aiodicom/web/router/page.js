"use strict";
// What the router says is text: nothing of it is ever made into markup.
const REFRESH = 2000;
const MOST = 50; // objects of the failures that are shown, of each state
const at = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en");
let token = sessionStorage.getItem("token") || "";
let before = null;

function make(name, text = "", kind = "") {
  const element = document.createElement(name);
  element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

// Rows of a table, whose cells say what column they are of: narrow screens have no room for columns.
function fill(body, rows) {
  const names = [...body.parentElement.tHead.rows[0].cells].map((cell) => cell.textContent);
  for (const row of rows) [...row.cells].forEach((cell, place) => { cell.dataset.column = names[place]; });
  body.replaceChildren(...rows);
}

function button(text, action) {
  const element = make("button", text);
  element.type = "button";
  element.addEventListener("click", async () => {
    element.disabled = true;
    try { await action(); await refresh(); } catch (error) { say(error.message, "bad"); } finally { element.disabled = false; }
  });
  return element;
}

function say(text, kind) {
  at("state").textContent = text;
  at("state").className = kind;
}

async function ask(path, options = {}) {
  const response = await fetch(`api/${path}`, { ...options, headers: { Authorization: `Bearer ${token}` } });
  if (response.status === 401 || response.status === 429) {
    const told = await response.json();
    showLogin(told.error);
    throw new Error("not logged in");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || `the router answers ${response.status}`);
  return answer;
}

const change = (what, meant) => ask(what, { method: "POST", body: JSON.stringify(meant) });

function showLogin(reason) {
  token = ""; // not to be shown again and again: who has shown too many wrong ones has to wait
  before = null;
  sessionStorage.removeItem("token");
  at("login").hidden = false;
  at("main").hidden = true;
  at("refused").textContent = reason;
  at("token").focus();
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${bytes.toFixed(unit && bytes < 100 ? 1 : 0)} ${units[unit]}`;
}

function span(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.round(seconds / 86400)} d`;
}

const time = (seconds) => new Date(seconds * 1000).toLocaleString();

// The processes of a router, added.
function added(processes) {
  const total = { received: 0, bytes: 0, refused: 0, associations: 0, uptime: 0, diskFull: false, diskFree: Infinity, words: [], destinations: new Map() };
  for (const each of processes) {
    for (const key of ["received", "bytes", "refused", "associations"]) total[key] += each[key];
    total.uptime = Math.max(total.uptime, each.uptime);
    total.diskFull ||= each.disk_full;
    total.diskFree = Math.min(total.diskFree, each.disk_free);
    total.words.push(...each.findings, ...each.problems.map((text) => `The new configuration is not used: ${text}`));
    for (const one of each.destinations) {
      const sum = total.destinations.get(one.name);
      if (!sum) { total.destinations.set(one.name, { ...one }); continue; }
      for (const key of ["waiting", "delayed", "held", "gathering", "dead", "delivered", "running", "connections", "delivered_here", "bytes", "failures"]) sum[key] += one[key];
      if (one.state !== "open") { sum.state = one.state; sum.reason = one.reason; }
    }
  }
  return total;
}

function perSecond(now, past, seconds) {
  return past === undefined || seconds <= 0 ? 0 : Math.max(now - past, 0) / seconds;
}

function showFigures(now, seconds) {
  const rate = before ? perSecond(now.received, before.received, seconds) : 0;
  const bytes = before ? perSecond(now.bytes, before.bytes, seconds) : 0;
  const figures = [
    ["Received/s", rate.toFixed(1)], ["Bytes/s", size(bytes)], ["Received", number(now.received)], ["Refused", number(now.refused)],
    ["Associations", number(now.associations)], ["Disk free", size(now.diskFree)], ["Running for", span(now.uptime)],
  ];
  at("figures").replaceChildren(...figures.map(([name, value]) => {
    const box = make("div");
    box.append(make("dt", name), make("dd", value));
    return box;
  }));
  const words = [...now.words];
  if (now.diskFull) words.unshift("The queue's disk is nearly full: objects are refused (A700H) until some of it is free again.");
  at("alerts").replaceChildren(...words.map((text) => make("p", text)));
}

function showDestinations(now, seconds) {
  const rows = [...now.destinations.values()].map((each) => {
    const row = make("tr");
    const past = before && before.destinations.get(each.name);
    const state = make("td", each.state, each.state === "open" ? "good" : each.state === "trial" ? "soon" : "bad");
    if (each.reason && each.state !== "open") state.append(make("div", each.reason, "reason"));
    row.append(make("td", each.name), state);
    row.append(make("td", perSecond(each.delivered_here, past ? past.delivered_here : undefined, seconds).toFixed(1), "n"));
    for (const key of ["running", "waiting", "delayed", "held", "gathering", "dead", "delivered"]) {
      row.append(make("td", number(each[key]), key === "dead" && each.dead ? "n bad" : "n"));
    }
    const buttons = make("td");
    const meant = { destination: each.name };
    if (each.state === "held") buttons.append(button("Release", () => change("release", meant)));
    else buttons.append(button("Hold", () => change("hold", meant)));
    if (each.dead || each.delayed || each.state === "left alone") buttons.append(button("Retry", () => change("retry", meant)));
    row.append(buttons);
    return row;
  });
  fill(at("destinations"), rows);
}

async function showFailures() {
  const lists = [await ask(`queue?state=dead&limit=${MOST}`), await ask(`queue?state=delayed&limit=${MOST}`)];
  const found = lists.flat();
  const rows = [];
  const seen = new Set();
  for (const way of found) {
    for (const step of way.steps.filter((each) => each.state === "dead" || each.state === "delayed")) {
      const key = `${way.object} ${step.number}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const row = make("tr");
      row.append(make("td", way.sop_instance_uid, "uid"), make("td", step.destination));
      row.append(make("td", step.state, step.state === "dead" ? "bad" : "soon"), make("td", number(step.attempts), "n"));
      row.append(make("td", step.reason, "reason"), make("td", time(step.changed)));
      const meant = { destination: step.destination, object: way.object, number: step.number };
      const buttons = make("td");
      buttons.append(button("Retry", () => change("retry", meant)));
      if (step.state === "dead") buttons.append(button("Drop", () => {
        if (confirm(`Give up ${way.sop_instance_uid} for ${step.destination}?`)) return change("drop", meant);
      }));
      row.append(buttons);
      rows.push(row);
    }
  }
  fill(at("failures"), rows);
  at("no-failures").hidden = rows.length > 0;
  at("more-failures").hidden = lists.every((list) => list.length < MOST);
}

function showWay(way) {
  const box = make("div", "", "way");
  box.append(make("h3", way.sop_instance_uid));
  box.append(make("p", `Received ${time(way.received)} from ${way.calling_aet} (${way.peer || "unknown"}), ${size(way.size)}, patient ${way.patient_id || "unknown"}`));
  const table = make("table");
  const head = make("tr");
  for (const name of ["Route", "Destination", "State", "Attempts", "When", "Last failure, or warning"]) head.append(make("th", name));
  table.createTHead().append(head);
  const rows = way.steps.map((step) => {
    const row = make("tr");
    const kind = step.state === "delivered" ? "good" : step.state === "dead" ? "bad" : "soon";
    row.append(make("td", step.route), make("td", step.destination), make("td", step.state, kind), make("td", number(step.attempts)));
    row.append(make("td", time(step.changed)), make("td", step.reason, "reason"));
    return row;
  });
  fill(table.createTBody(), rows);
  box.append(table);
  return box;
}

async function refresh() {
  const processes = await ask("status");
  const now = { ...added(processes), at: performance.now() };
  const seconds = before ? (now.at - before.at) / 1000 : 0;
  showFigures(now, seconds);
  showDestinations(now, seconds);
  await showFailures();
  if (!before || seconds >= 1) before = now;
  at("login").hidden = true;
  at("main").hidden = false;
  say(`${processes.length === 1 ? "running" : `${processes.length} processes`}, version ${processes[0].version}`, "good");
}

async function keepRefreshing() {
  try { if (token) await refresh(); } catch (error) { say(error.message, "bad"); }
  setTimeout(keepRefreshing, REFRESH);
}

at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = at("token").value;
  at("token").value = "";
  try { await ask("login", { method: "POST" }); sessionStorage.setItem("token", token); await refresh(); } catch (error) { say(error.message, "bad"); }
});

at("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const ways = await ask(`search?text=${encodeURIComponent(at("text").value.trim())}`);
    at("found").replaceChildren(...(ways.length ? ways.map(showWay) : [make("p", "The router knows of no such object.")]));
  } catch (error) { say(error.message, "bad"); }
});

if (!token) showLogin("");
keepRefreshing();
