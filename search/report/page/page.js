// The page: tables, menus, and what a click does.

const byId = (id) => document.getElementById(id);
const state = { row: -1, design: null };

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
}

function facts(id, rows) {
  byId(id).replaceChildren(...rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => {
    const row = element("tr");
    row.append(element("th", name), element("td", value));
    return row;
  }));
}

function menu(id, options, chosen, change) {
  const select = byId(id);
  select.replaceChildren(...options.map(({ key, label }) => element("option", label, { value: key })));
  select.value = chosen;
  select.addEventListener("change", change);
}

// ---- Head ----

const goals = report.asked.goals;

function showHead() {
  const a = report.asked;
  const pending = report.count.pending;
  const done = searches.json.of - pending;
  const what = llm ? `LLM ${a.training ? "training" : "inference"}` : a.mode;
  byId("title").textContent = `DeepFlow: ${what} search`;
  document.title = byId("title").textContent;
  const best = report.ranked.length > 0 ? rowOfWork(report.ranked[0]) : -1;
  byId("summary").textContent = [
    `${plain(strategies.json.of)} strategies and layouts, ${plain(done)} searches done`,
    best >= 0 ? `best: ${seconds(searches.at("best_time_s", best))} with ${strategyName(strategyOf(best))}` : pending > 0 ? "nothing found yet" : "nothing works",
  ].join("; ");
  byId("basis").textContent = a.rests_on ? `Predictions rest on ${a.rests_on}.` : "";
  byId("basis").hidden = !a.rests_on;
  const notes = [];
  if (pending > 0) notes.push(`When this page was made (${report.made.when}), ${plain(pending)} of ${plain(searches.json.of)} searches were still pending: make it again to include them.`);
  if (searches.rows < done) notes.push(`The page has ${plain(searches.rows)} of ${plain(done)} searches: the best of each strategy, the Pareto front, and every ${report.made.stride}th of the others (--rows N for more).`);
  const model = a.settings.match(/^model=(.*)$/m)?.[1];
  if (model && model !== report.made.model_version) notes.push(`The searches ran with model version ${model}, and this page was made with ${report.made.model_version}: what it predicts again (operators, devices) may differ.`);
  byId("notice").textContent = notes.join(" ");
  byId("notice").hidden = notes.length === 0;
}

// What was demanded and where was searched, as the settings have it.
function bounds() {
  const settings = new Map(report.asked.settings.split("\n").map((line) => line.split(/=(.*)/s)));
  const limits = (settings.get("limits") ?? "").split(",").map(Number);
  const demanded = [["time", seconds], ["energy", (v) => si(v, "J")], ["power", (v) => si(v, "W")], ["area", (v) => `${plain(v)} mm²`], ["memory", bytes]]
    .filter((_, i) => limits[i] > 0)
    .map(([name, text]) => `${name} at most ${text(limits[limitOrder.indexOf(name)])}`);
  const shares = [...settings].filter(([key]) => /^(area|power|perimeter)_/.test(key)).map(([key, value]) => `${key} from ${value.split(",").map((v) => digits(Number(v))).join(" to ")}`);
  return [...demanded, ...shares].join("; ");
}

const limitOrder = ["time", "energy", "power", "area", "memory"];

function showAsked() {
  const a = report.asked;
  facts("asked-facts", [
    ["model", llm ? `LLM, ${a.training ? "training" : "inference"}` : a.mode],
    ["hardware", a.fix_hardware ? "as the file has it" : "searched: shares of area, power and perimeter"],
    ["sought", goals.map((goal) => goalNames[goal] ?? goal).join(", ")],
    ["bounds", bounds()],
    ["rules", a.rules],
    ["predictions rest on", a.rests_on],
    ["strategies and layouts", plain(strategies.json.of)],
    ["searches", plain(searches.json.of)],
    ["evaluations", plain(a.evaluations)],
    ["took", a.wall_s > 0 ? `${seconds(a.wall_s)} on ${a.ranks} rank(s)` : `${a.ranks} rank(s)`],
    ["begun", `${a.start} on ${a.host}`],
    ["results", report.made.path],
    ["page made", report.made.when],
  ]);
  byId("asked-command").textContent = a.command;
  byId("asked-settings").textContent = a.settings;
  byId("asked-hardware").textContent = a.hardware_yaml;
  byId("asked-model").textContent = a.model_yaml;
  byId("asked-model-part").hidden = a.model_yaml === "";
}

// ---- The best ----

// Columns of the table: head, and text of a row.
function bestColumns() {
  const column = (head, text) => ({ head, text });
  const get = (name, text) => (searches.has(name) ? [column(...text)] : []);
  const other = goals.length > 1 || goals[0] !== "time";
  return [
    column("time", (row) => seconds(searches.at("best_time_s", row), 5)),
    ...(other && goals.length === 1 ? [column(goalNames[goals[0]] ?? goals[0], (row) => goalText(row))] : []),
    ...get("energy_j", ["energy", (row) => si(searches.at("energy_j", row), "J")]),
    ...get("memory_bytes", ["memory needed", (row) => bytes(searches.at("memory_bytes", row), 3)]),
    ...get("device_flops_ps", ["compute", (row) => si(searches.at("device_flops_ps", row), "flop/s")]),
    ...get("device_dram_bytes", ["DRAM", (row) => bytes(searches.at("device_dram_bytes", row), 3)]),
    ...get("device_dram_bytes_ps", ["DRAM rate", (row) => si(searches.at("device_dram_bytes_ps", row), "B/s", 3)]),
    ...get("device_l2_bytes", ["L2", (row) => bytes(searches.at("device_l2_bytes", row), 3)]),
  ];
}

function goalText(row) {
  const value = searches.at("best_value", row);
  return goals[0] === "tokens_per_s_per_w" ? digits(1 / value) : digits(value);
}

// The best ten results: of strategies and layouts that found the same the first, and how many more.
function bestResults() {
  const names = ["best_value", "best_time_s", "energy_j", "memory_bytes", ...Object.keys(searches.json).filter((name) => /^(device|area|power|perimeter)_/.test(name))].filter((name) => searches.has(name));
  const results = new Map();
  for (const id of report.ranked) {
    const row = rowOfWork(id);
    if (row < 0) continue;
    const key = names.map((name) => searches.at(name, row)).join();
    const known = results.get(key);
    if (known) known.more++;
    else if (results.size === 10) break;
    else results.set(key, { id, row, more: 0 });
  }
  return [...results.values()];
}

function showBest() {
  const best = bestResults();
  const columns = bestColumns();
  const head = element("tr");
  head.append(element("th", ""), ...columns.map((c) => element("th", c.head, { class: "number" })), element("th", "strategy"), element("th", "layout"), element("th", "system"));
  const body = element("tbody");
  best.forEach(({ row, more }, i) => {
    const line = element("tr", undefined, { tabindex: "0", "data-row": row });
    const strategy = strategyOf(row);
    line.append(element("td", i + 1, { class: "number" }), ...columns.map((c) => element("td", c.text(row), { class: "number" })), element("td", strategyName(strategy)), element("td", layoutName(strategy)), element("td", systemName(strategy) + (more > 0 ? `; and ${more} more with the same result` : "")));
    line.addEventListener("click", () => choose(row));
    line.addEventListener("keydown", (event) => event.key === "Enter" && choose(row));
    body.append(line);
  });
  const header = element("thead");
  header.append(head);
  byId("best-table").replaceChildren(header, body);
  const shown = best.map(({ id }) => designs.get(id)).filter(Boolean);
  if (shown.length === 0) byId("best-chart").hidden = true;
  else draw("best-chart", bestOption(shown), (p) => choose(rowOfWork(shown[p.dataIndex].work_id)));
}

// ---- The chosen design ----

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function command(workId) {
  const ignore = /^ignore_memory=1$/m.test(report.asked.settings) ? " --ignore_memory" : "";
  return `deepflow report ${quoted(report.made.path)} --design ${workId} -o design.yaml\ndeepflow predict --exp_config design.yaml --rules ${quoted(report.asked.rules)}${ignore}${llm ? " --breakdown" : ""}`;
}

const endings = { converged: "converged", iterations: "stopped at the limit", stopped: "given up by the rule", infeasible: "no device that works" };

// By rule or measured, where the rules know boards.
function boardText(watts) {
  return `${si(watts, "W")}, ${report.asked.power_basis === "measured" ? "as measured" : "by rule"}`;
}

function showFacts(row, design) {
  const strategy = strategyOf(row);
  const get = (name) => searches.at(name, row);
  const rank = report.ranked.indexOf(get("work_id"));
  facts("design-facts", [
    ["time", seconds(get("best_time_s"), 6)],
    ["energy", searches.has("energy_j") ? si(get("energy_j"), "J") : ""],
    ["power", searches.has("energy_j") ? si(get("energy_j") / get("best_time_s"), "W") : ""],
    ["power of a board", design?.board_w ? boardText(design.board_w) : ""],
    ["model FLOPs utilization", design?.mfu ? percent(design.mfu) : ""],
    ["strategy", strategyName(strategy)],
    ["system", systemName(strategy)],
    [onNodes(strategy) ? "placement" : "layout, innermost first", layoutName(strategy)],
    ["streams on a link", `${strategies.at("intra_derate", strategy)} inside, ${strategies.at("inter_derate", strategy)} between`],
    ["memory needed", searches.has("memory_bytes") ? `${bytes(get("memory_bytes"))}, ${percent(get("memory_overflow"))} of what is there` : ""],
    ["area of all devices", searches.has("area_mm2") ? `${plain(get("area_mm2"))} mm²` : ""],
    ["search", report.asked.fix_hardware ? get("work_id") : `${get("work_id")}, starting point ${get("index")}: ${endings[report.searches.status_words[get("status")]]} after ${plain(get("iterations"))} iterations, ${plain(get("evaluations"))} evaluations`],
    ["rank", rank >= 0 ? `${rank + 1} of ${plain(report.strategies.of)} strategies and layouts` : ""],
  ]);
}

function limited(by) {
  return by === "none" || by === "given" ? "" : ` (limited by ${by})`;
}

function showDevice(row, design) {
  const d = (design ?? (report.asked.fix_hardware ? report.designs[0] : null))?.device;
  if (!d) {
    const get = (name, text) => (searches.has(name) ? text(searches.at(name, row)) : "");
    facts("design-device", [
      ["compute", get("device_flops_ps", (v) => si(v, "flop/s"))],
      ["DRAM", get("device_dram_bytes", bytes)],
      ["DRAM rate", get("device_dram_bytes_ps", (v) => si(v, "B/s"))],
      ["L2", get("device_l2_bytes", bytes)],
      ["network inside", get("device_intra_bytes_ps", (v) => si(v, "B/s"))],
      ["network between", get("device_inter_bytes_ps", (v) => si(v, "B/s"))],
    ]);
    return;
  }
  facts("design-device", [
    ["compute", `${si(d.flops_ps, "flop/s")}: ${plain(d.num_mcu)} units${limited(d.count_limit)} at ${si(d.frequency_hz, "Hz")}${limited(d.freq_limit)}`],
    ...[...d.levels].reverse().map((mem) => [mem.name, `${bytes(mem.size_bytes)}${limited(mem.size_limit)}, ${si(mem.bytes_ps, "B/s")}${limited(mem.bandwidth_limit)}`]),
    ["network inside", si(d.intra_bytes_ps, "B/s")],
    ["network between", si(d.inter_bytes_ps, "B/s")],
    ["memory", design?.memory_bytes ? Object.entries(design.memory_bytes).map(([name, value]) => `${name} ${bytes(value, 3)}`).join(", ") : ""],
  ]);
}

// The sections that this design has of its own, from the rounded numbers of the page.
function budgetsYaml(row) {
  const share = (name) => digits(searches.at(name, row), 7);
  const part = (budget, name) => `  ${name}: ${share(`${budget}_${name}`)}`;
  const shares = (budget) => [`${budget}: # shares of the chip's`, ...["core", "DRAM", "L2", "L1", "reg_mem", "intra_node", "inter_node"].map((name) => part(budget, name))];
  return [
    `# ${strategyName(strategyOf(row))}, ${layoutName(strategyOf(row))}`,
    "# Rounded to 7 digits. The first command above writes the whole file, in full.",
    ...shares("area"),
    ...shares("power"),
    "perimeter: # shares of the chip's",
    ...["DRAM", "intra_node", "inter_node"].map((name) => part("perimeter", name)),
  ].join("\n");
}

function showYaml(row, design) {
  const workId = searches.at("work_id", row);
  byId("design-command").textContent = command(workId);
  byId("design-yaml").textContent = design?.yaml ?? (report.asked.fix_hardware ? "The first command above writes it." : budgetsYaml(row));
  byId("yaml-title").textContent = design?.yaml || report.asked.fix_hardware ? "The design as YAML" : "Its shares as YAML";
  byId("yaml-save").hidden = !design?.yaml;
}

function showOps(design) {
  byId("ops-chart").hidden = !design;
  byId("roof-part").hidden = !design;
  if (!design) {
    byId("ops-hint").textContent = `The page has the operators of ${designs.size} designs: the best of each strategy, and those of the Pareto front. For this one the commands below print them.`;
    return;
  }
  const rest = restOf(design);
  const overlap = rest < -1e-6 * design.predicted_s ? ` They add up to ${seconds(-rest)} more than the step takes, because they overlap or run on several stages at once.` : "";
  const repeat = llm && !report.asked.training ? " Decode steps count as the last one." : "";
  byId("ops-hint").textContent = `Each operator with what bounds it; a step takes ${seconds(design.predicted_s, 6)}.${overlap}${repeat}`;
  const option = opsOption(design);
  byId("ops-chart").style.height = `${110 + 34 * option.yAxis.data.length}px`;
  draw("ops-chart", option);
  showRoof();
}

function showRoof() {
  if (state.design) draw("roof-chart", roofOption(state.design, Number(byId("roof-level").value)));
}

// Chooses the search of a row: everything about it is shown, and a line at the bottom says so.
function choose(row, quietly) {
  if (!(row >= 0)) return;
  const workId = searches.at("work_id", row);
  const design = designs.get(workId);
  const strategy = strategyOf(row);
  state.row = row;
  state.design = design ?? null;
  byId("design-title").textContent = `Search ${workId}: ${seconds(searches.at("best_time_s", row))} with ${strategyName(strategy)}`;
  showFacts(row, design);
  showDevice(row, design);
  showYaml(row, design);
  document.querySelectorAll("#best-table tbody tr").forEach((line) => line.classList.toggle("chosen", Number(line.dataset.row) === row));
  markChosen();
  byId("chosen").hidden = Boolean(quietly);
  byId("chosen-text").textContent = byId("design-title").textContent;
  clearTimeout(state.drawing); // the answer first, then its pictures
  state.drawing = setTimeout(() => drawChosen(row, design), quietly ? 0 : 30);
}

function drawChosen(row, design) {
  byId("shares-part").hidden = report.asked.fix_hardware;
  if (!report.asked.fix_hardware) draw("shares-chart", sharesOption(row));
  showOps(design);
}

// ---- Other pictures ----

function degree(name) {
  return degrees.find((d) => d.name === name);
}

function showHeat() {
  const x = degree(byId("heat-x").value);
  const y = degree(byId("heat-y").value);
  byId("heat-chart").style.height = `${Math.min(760, 220 + 34 * Math.max(5, y.values.length))}px`;
  draw("heat-chart", heatOption(x, y), (p) => choose(p.data.cell.row));
}

function showStrategies() {
  if (degrees.length === 0 || report.ranked.length === 0) {
    byId("strategies").hidden = true;
    return;
  }
  const options = degrees.map((d) => ({ key: d.name, label: d.label }));
  menu("heat-x", options, degrees[0].name, showHeat);
  menu("heat-y", options, (degrees[1] ?? degrees[0]).name, showHeat);
  showHeat();
  const across = narrow() ? 1 : Math.min(3, degrees.length);
  byId("degrees-chart").style.height = `${44 + 240 * Math.ceil(degrees.length / across)}px`;
  draw("degrees-chart", degreesOption(degrees), (p) => choose(p.data.row));
}

function showAll() {
  const x = quantity(byId("all-x").value);
  const y = quantity(byId("all-y").value);
  draw("all-chart", allOption(x, y), (p) => choose(p.value[2]));
  instances["all-chart"].off("datazoom");
  instances["all-chart"].on("datazoom", markChosen);
  markChosen();
}

function markChosen() {
  if (!instances["all-chart"]) return;
  const x = quantity(byId("all-x").value).values()[state.row];
  const y = quantity(byId("all-y").value).values()[state.row];
  ring("all-chart", Number.isFinite(x) && Number.isFinite(y) ? [x, y] : null);
}

function showSearches() {
  if (report.ranked.length === 0) {
    byId("all").hidden = true;
    return;
  }
  const varies = (q) => {
    const [low, high] = range(q.values());
    return high > low;
  };
  const shown = quantities.filter((q) => q.key === "time" || varies(q));
  const other = ["energy", "area", "dram", "flops", "fill", "memory"].find((key) => shown.some((q) => q.key === key)) ?? "time";
  const options = shown.map((q) => ({ key: q.key, label: q.label }));
  menu("all-x", options, other, showAll);
  menu("all-y", options, "time", showAll);
  byId("all-hint").textContent = `${plain(searches.rows)} searches; ${plain(report.front)} of them are on the front of ${frontAxes().join(", ")}.`;
  showAll();
}

function showDescents() {
  const hint = byId("descents-hint");
  if (report.ranked.length === 0) {
    byId("descents").hidden = true;
  } else if (report.asked.fix_hardware) {
    byId("descents").querySelector("h2").textContent = "All strategies, best first";
    document.querySelector('nav a[href="#descents"]').textContent = "Ranks";
    hint.textContent = "The hardware is fixed: every strategy and layout was evaluated once.";
    draw("descents-chart", ranksOption(), (p) => choose(p.value[2]));
  } else if (report.trajectories.length > 0) {
    hint.textContent = "Time of each iterate: the best search of each of the ten best strategies, and other starts of the best one.";
    draw("descents-chart", descentsOption(), (p) => choose(rowOfWork(report.trajectories[p.seriesIndex].work_id)));
  } else {
    const best = rowOfWork(report.ranked[0]);
    const one = rowsOf(searches.at("strategy_id", best)).length < 2;
    hint.textContent = `${one ? "The one starting point of each strategy, and what the descent from it found." : `The starting points of the best strategy (${strategyName(strategyOf(best))}), what the descent from each found, and the best so far.`} With --trajectory a search keeps every iterate.`;
    draw("descents-chart", startsOption(searches.at("strategy_id", best)), (p) => choose(p.value[2]));
  }
}

function showInfeasible() {
  const infeasible = sum(report.reasons.map((reason) => reason.count));
  byId("infeasible-hint").textContent = `${plain(infeasible)} of ${plain(strategies.json.of)} strategies and layouts were not searched; ${plain(report.count.infeasible)} searches met no device that works.`;
  const rows = [...report.reasons].sort((a, b) => b.count - a.count).map((reason) => {
    const several = reason.count > 1 && /\d/.test(reason.text);
    const row = element("tr");
    row.append(element("td", plain(reason.count), { class: "number" }), element("td", `${reason.text}${several ? " (or other numbers)" : ""}`));
    return row;
  });
  const states = Object.entries(report.count).filter(([, count]) => count > 0).map(([name, count]) => {
    const row = element("tr");
    row.append(element("td", plain(count), { class: "number" }), element("td", `searches: ${name}`));
    return row;
  });
  byId("infeasible-table").replaceChildren(...rows, ...states);
}

// ---- Copying ----

async function copy(button) {
  const text = byId(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a page from a file may not: the old way
    const area = element("textarea", text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy";
  }, 1500);
}

function save() {
  const link = element("a", "", { download: "design.yaml", href: URL.createObjectURL(new Blob([byId("design-yaml").textContent])) });
  link.click();
  URL.revokeObjectURL(link.href);
}

// ---- All of it ----

window.addEventListener("resize", markChosen);

document.querySelectorAll("button[data-copy]").forEach((button) => button.addEventListener("click", () => copy(button)));
byId("yaml-save").addEventListener("click", save);
menu("roof-level", [[3, "DRAM"], [2, "L2"], [1, "L1"], [0, "registers"]].map(([key, label]) => ({ key, label })), "3", showRoof);
showHead();
showAsked();
showBest();
showStrategies();
showSearches();
showDescents();
showInfeasible();
if (report.ranked.length > 0) choose(rowOfWork(report.ranked[0]), true);
else byId("design").hidden = true;
document.querySelectorAll("nav a").forEach((link) => {
  link.hidden = document.querySelector(link.getAttribute("href")).hidden;
});
