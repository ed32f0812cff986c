"use strict";
// The numbers of the page: packed tables, names, and how numbers are written.

const report = JSON.parse(document.getElementById("data").textContent);

// A table of packed columns: {"c": one value} or {"t": type, "b": base64, little-endian}.
class Table {
  static types = { u8: Uint8Array, u16: Uint16Array, i32: Int32Array, f32: Float32Array, f64: Float64Array };

  constructor(json) {
    this.json = json;
    this.rows = json.rows;
    this.unpacked = {};
  }

  has(name) {
    const column = this.json[name];
    return column !== undefined && column.c !== null;
  }

  // All values of a column.
  column(name) {
    if (!(name in this.unpacked)) this.unpacked[name] = this.unpack(this.json[name]);
    return this.unpacked[name];
  }

  unpack(column) {
    if ("c" in column) return new Float64Array(this.rows).fill(column.c ?? NaN);
    return this.bytes(column.b, Table.types[column.t]);
  }

  bytes(text, type) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return new type(bytes.buffer);
  }

  // One value, without unpacking the column.
  at(name, row) {
    const column = this.json[name];
    if (name in this.unpacked) return this.unpacked[name][row];
    if ("c" in column) return column.c ?? NaN;
    const type = Table.types[column.t];
    const size = type.BYTES_PER_ELEMENT;
    const first = Math.floor(row * size / 3);
    const last = Math.ceil((row + 1) * size / 3);
    const bytes = this.bytes(column.b.slice(4 * first, 4 * last), Uint8Array);
    const from = row * size - 3 * first;
    return new type(bytes.buffer.slice(from, from + size))[0];
  }
}

const strategies = new Table(report.strategies);
const searches = new Table(report.searches);
const llm = report.asked.mode === "LLM";
const designs = new Map(report.designs.map((d) => [d.work_id, d]));

// ---- Rows ----

const rowOfStrategy = new Map();
strategies.column("strategy_id").forEach((id, row) => rowOfStrategy.set(id, row));

// The row of a search; -1: it is not on the page. Rows are in the order of their work_id.
function rowOfWork(workId) {
  const ids = searches.column("work_id");
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ids[middle] < workId) low = middle + 1;
    else high = middle;
  }
  return ids[low] === workId ? low : -1;
}

function strategyOf(row) {
  return rowOfStrategy.get(searches.at("strategy_id", row));
}

// Best search of a strategy's row; -1: none.
function bestOf(strategyRow) {
  const work = strategies.at("best_work", strategyRow);
  return work < 0 ? -1 : rowOfWork(work);
}

// ---- Numbers as text ----

const siPrefixes = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];

function digits(value, count = 4) {
  return String(Number(value.toPrecision(count)));
}

function si(value, unit, count = 4) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return `0 ${unit}`;
  const [scale, prefix] = siPrefixes.find(([s]) => Math.abs(value) >= 0.99999 * s) ?? siPrefixes.at(-1);
  return `${digits(value / scale, count)} ${prefix}${unit}`;
}

function seconds(value, count = 4) {
  return value >= 1000 ? `${digits(value, count)} s` : si(value, "s", count);
}

function bytes(value, count = 4) {
  if (!Number.isFinite(value)) return "–";
  const names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let at = 0;
  while (value >= 1024 && at < names.length - 1) {
    value /= 1024;
    at++;
  }
  return `${digits(value, count)} ${names[at]}`;
}

function gib(value) {
  return `${digits(value)} GiB`;
}

function plain(value) {
  return Number.isFinite(value) ? value.toLocaleString("en-US", { maximumSignificantDigits: 6 }) : "–";
}

function percent(value) {
  return `${digits(100 * value, 3)} %`;
}

// ---- Strategies as text ----

const kpNames = { "-1": "none", 1: "CR", 2: "RC" };

// As the program names them.
function strategyName(row) {
  const get = (name) => strategies.at(name, row);
  if (!llm) return `${kpNames[get("kp_type")]}-k${get("kp1")}-k${get("kp2")}-d${get("dp")}-l${get("lp")}`;
  let name = `t${get("tp")}-c${get("cp")}-d${get("dp")}-l${get("lp")}-m${get("mb")}`;
  if (get("tp_sp")) name += "-sp";
  if (get("zero_stage")) name += `-z${get("zero_stage")}`;
  if (get("recompute")) name += `-${report.strategies.recompute_words[get("recompute")]}`;
  if (get("schedule")) name += `-${report.strategies.schedule_words[get("schedule")]}`;
  return get("virtual_stages") > 1 ? `${name}${get("virtual_stages")}` : name;
}

const axisNames = llm ? ["tp", "cp", "dp", "lp"] : ["kp1", "kp2", "dp", "lp"];

function onNodes(row) {
  return strategies.at("devices_per_node", row) > 0;
}

// Axes innermost first; on nodes those that leave one.
function layoutName(row) {
  if (onNodes(row)) {
    const leaving = axisNames.filter((_, i) => strategies.at(["kp1_inter", "kp2_inter", "dp_inter", "lp_inter"][i], row));
    return leaving.length > 0 ? `${leaving.join(", ")} between nodes` : "inside a node";
  }
  const order = String(strategies.at("layout", row)).padStart(4, "0");
  return [...order].map((axis) => axisNames[axis]).join(", ");
}

function systemName(row) {
  const number = strategies.at("num_wafer", row);
  if (onNodes(row)) return `${number} node(s) of ${strategies.at("devices_per_node", row)}`;
  const dim = strategies.at("wafer_dim", row);
  return `${number} wafer(s) of ${dim} × ${dim}`;
}

// ---- What strategies differ in ----

// Name in the file, what it is, and how its values are called.
const degreeList = [
  ["dp", "data parallel dp"],
  ["tp", "tensor parallel tp"],
  ["cp", "context parallel cp"],
  ["kp1", "kernel parallel kp1"],
  ["kp2", "kernel parallel kp2"],
  ["lp", llm ? "pipeline lp (pp)" : "pipeline lp"],
  ["kp_type", "kernel split", (v) => kpNames[v]],
  ["mb", "micro-batches mb"],
  ["tp_sp", "sequence parallel", (v) => (v ? "yes" : "no")],
  ["zero_stage", "ZeRO stage"],
  ["recompute", "recomputation", (v) => report.strategies.recompute_words[v]],
  ["schedule", "schedule", (v) => report.strategies.schedule_words[v]],
  ["virtual_stages", "virtual stages"],
  ["layout", "layout, innermost first", (v) => [...String(v).padStart(4, "0")].map((a) => axisNames[a]).join(" ")],
  ["num_wafer", "wafers or nodes"],
  ["wafer_dim", "wafer edge"],
  ["devices_per_node", "devices in a node"],
  ["num_worker", "devices"],
];

function valuesOf(name) {
  return [...new Set(strategies.column(name))].sort((a, b) => a - b);
}

const degrees = degreeList
  .map(([name, label, word]) => ({ name, label, word: word ?? String, values: valuesOf(name) }))
  .filter((degree) => degree.values.length > 1);

// ---- What searches found ----

// Quantities of a search, in the order of the menus; null: this sweep has no figures for it.
const quantityList = [
  { key: "time", label: "time", unit: "s", values: () => searches.column("best_time_s"), text: seconds },
  { key: "energy", label: "energy", unit: "J", needs: "energy_j", text: (v) => si(v, "J") },
  { key: "area", label: "area of all devices", unit: "mm²", needs: "area_mm2", text: (v) => `${plain(v)} mm²` },
  {
    key: "power", label: "power", unit: "W", needs: "energy_j", text: (v) => si(v, "W"),
    values: () => searches.column("energy_j").map((e, i) => e / searches.column("best_time_s")[i]),
  },
  { key: "memory", label: "memory needed by a device", unit: "GiB", scale: 2 ** 30, needs: "memory_bytes", text: gib },
  { key: "fill", label: "memory needed / memory there", unit: "", needs: "memory_overflow", text: percent },
  { key: "flops", label: "compute rate of a device", unit: "flop/s", needs: "device_flops_ps", text: (v) => si(v, "flop/s") },
  { key: "dram", label: "memory of a device", unit: "GiB", scale: 2 ** 30, needs: "device_dram_bytes", text: gib },
  { key: "bandwidth", label: "memory bandwidth", unit: "B/s", needs: "device_dram_bytes_ps", text: (v) => si(v, "B/s") },
  { key: "l2", label: "L2 of a device", unit: "MiB", scale: 2 ** 20, needs: "device_l2_bytes", text: (v) => `${digits(v)} MiB` },
  { key: "workers", label: "devices", unit: "", text: plain, values: () => searches.column("strategy_id").map((id) => strategies.at("num_worker", rowOfStrategy.get(id))) },
  { key: "start", label: "time of the start", unit: "s", needs: "start_time_s", text: seconds },
];

const quantities = quantityList.filter((q) => !q.needs || searches.has(q.needs));
quantities.forEach((q) => {
  q.values ??= () => (q.scale ? searches.column(q.needs).map((v) => v / q.scale) : searches.column(q.needs));
});

function quantity(key) {
  return quantities.find((q) => q.key === key);
}
