// Options of the pictures. Colours: Okabe and Ito's, and cividis for what is measured; both can be
// told apart by colour-blind people.

const colours = { blue: "#0072b2", orange: "#e69f00", green: "#009e73", red: "#d55e00", sky: "#56b4e9", pink: "#cc79a7", yellow: "#f0e442", grey: "#8a949e", black: "#1c2530" };
const costColours = { compute: colours.blue, registers: colours.sky, L1: colours.green, L2: colours.yellow, DRAM: colours.orange, network: colours.red, launch: colours.pink, "pipeline bubble": colours.grey, "bubble, hops, reductions": colours.grey };
const cividis = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const lineColours = [colours.blue, colours.red, colours.green, colours.orange, colours.pink, colours.sky, colours.black, colours.yellow, colours.grey, "#661100"];

const baseOption = { animation: false, textStyle: { fontFamily: "system-ui, sans-serif" }, color: lineColours };
const instances = {};

// Draws into an element; `click` gets what was clicked on.
function draw(id, option, click) {
  const element = document.getElementById(id);
  const chart = instances[id] ?? (instances[id] = echarts.init(element, null, { renderer: "canvas" }));
  chart.off("click");
  if (click) chart.on("click", click);
  if (chart.getWidth() !== element.clientWidth || chart.getHeight() !== element.clientHeight) chart.resize();
  chart.setOption({ ...baseOption, ...option }, { notMerge: true });
}

window.addEventListener("resize", () => Object.values(instances).forEach((chart) => chart.resize()));

function narrow() {
  return document.documentElement.clientWidth < 600;
}

// An axis of a quantity: logarithmic where values differ by more than a factor of 20.
function axisFor(q, low, high, more = {}) {
  const log = low > 0 && high / low > 20;
  const name = q.unit ? `${q.label} (${q.unit})` : q.label;
  return {
    type: log ? "log" : "value", scale: true, name, nameLocation: "middle", nameTextStyle: { color: colours.black },
    axisLabel: { formatter: (v) => axisText(q, v), hideOverlap: true, color: "#5a6673" },
    ...(log ? { min: 10 ** Math.floor(Math.log10(low)), max: 10 ** Math.ceil(Math.log10(high)) } : {}),
    ...more,
  };
}

// Room at the sides of a picture: numbers and the name of the axis at the left.
function sides() {
  return { left: narrow() ? 74 : 84, right: narrow() ? 14 : 24 };
}

function axisText(q, value) {
  return q.unit === "mm²" ? plain(value) : q.text(value, 3);
}

function range(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const v of values) {
    if (Number.isFinite(v)) {
      low = Math.min(low, v);
      high = Math.max(high, v);
    }
  }
  return [low, high];
}

const secondsQuantity = { label: "time", unit: "s", text: seconds };

function lines(...items) {
  return items.filter(Boolean).map((text) => echarts.format.encodeHTML(String(text))).join("<br>");
}

function searchLines(row) {
  const strategy = strategyOf(row);
  return [`search ${searches.at("work_id", row)}: ${seconds(searches.at("best_time_s", row))}`, strategyName(strategy), `${layoutName(strategy)}; ${systemName(strategy)}`];
}

// ---- Where time goes ----

function opName(op) {
  return op.phase ? `${op.name} (${op.phase})` : op.name;
}

// Seconds of an operator in a step, by cost.
function opCosts(op) {
  return op.cost_s.map((s) => (s ?? 0) * op.runs);
}

function sum(values) {
  return values.reduce((a, b) => a + b, 0);
}

// What is in no operator: of an LSTM hops and reductions are operators of their own.
function restName() {
  return llm ? "bubble, hops, reductions" : "pipeline bubble";
}

// Time of the step that is in no operator; below 0: operators overlap, and their sum is longer.
function restOf(design) {
  return design.predicted_s - sum(design.ops.map((op) => sum(opCosts(op))));
}

function costSeries(names, rows) {
  return names
    .map((name, i) => ({ name, type: "bar", stack: "cost", barMaxWidth: 26, itemStyle: { color: costColours[name], borderColor: "#fff", borderWidth: 0.5 }, data: rows.map((row) => row[i] ?? 0) }))
    .filter((series) => series.data.some((value) => value > 0));
}

// Why bars are longer than times.
function overlapText(shown) {
  return shown.some((design) => restOf(design) < -1e-6 * design.predicted_s) ? "; parts that overlap are shown in full" : "";
}

// Of a whole step, whose bar may be longer than its time: also by how much parts overlap.
function costTooltip(items, design) {
  const shown = items.filter((item) => item.value > 0);
  const whole = sum(shown.map((item) => item.value));
  const rows = shown.map((item) => `${item.marker}${echarts.format.encodeHTML(item.seriesName)}: ${seconds(item.value)} (${percent(item.value / whole)})`);
  const overlap = design ? whole - design.predicted_s : 0;
  const note = overlap > 1e-6 * whole ? [`${seconds(whole)} in all, ${seconds(overlap)} of them while others run`] : [];
  const time = note.length > 0 ? design.predicted_s : whole;
  return [`<b>${echarts.format.encodeHTML(items[0].name)}</b>: ${seconds(time)}`, ...note, ...rows].join("<br>");
}

function costOption(categories, rows, names, title) {
  const [, high] = range(rows.map(sum));
  return {
    grid: { left: 8, right: 24, top: narrow() ? 72 : 48, bottom: 36, containLabel: true },
    legend: { top: 0, left: 0, itemGap: 12 },
    tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, formatter: (items) => costTooltip(items), confine: true },
    xAxis: { ...axisFor(secondsQuantity, 0, high), name: title, nameGap: 26, scale: false },
    yAxis: { type: "category", inverse: true, data: categories, axisLabel: { width: narrow() ? 110 : 220, overflow: "truncate", color: colours.black } },
    series: costSeries(names, rows),
  };
}

function opsOption(design) {
  const least = 0.002 * sum(design.ops.map((op) => sum(opCosts(op))));
  const ops = design.ops.filter((op) => sum(opCosts(op)) > least);
  const others = design.ops.filter((op) => sum(opCosts(op)) > 0 && sum(opCosts(op)) <= least);
  const rest = restOf(design);
  const names = [...report.cost_names, restName()];
  const rows = ops.map(opCosts);
  const categories = ops.map(opName);
  if (others.length > 0) {
    categories.push(`${others.length} smaller one${others.length > 1 ? "s" : ""}`);
    rows.push(report.cost_names.map((_, i) => sum(others.map((op) => opCosts(op)[i]))));
  }
  if (rest > 1e-6 * design.predicted_s) {
    categories.push(restName());
    rows.push([...report.cost_names.map(() => 0), rest]);
  }
  return costOption(categories, rows, names, `seconds of a step on one device${overlapText([design])}`);
}

// The best designs side by side.
function bestOption(shown) {
  const names = [...report.cost_names, restName()];
  const rows = shown.map((design) => {
    const costs = report.cost_names.map((_, i) => sum(design.ops.map((op) => opCosts(op)[i])));
    const rest = restOf(design);
    return [...costs, rest > 1e-6 * design.predicted_s ? rest : 0];
  });
  const categories = shown.map((design, i) => `${i + 1}  ${strategyName(strategyOf(rowOfWork(design.work_id)))}`);
  const option = costOption(categories, rows, names, `seconds of a step on one device${overlapText(shown)}`);
  option.tooltip.formatter = (items) => costTooltip(items, shown[items[0].dataIndex]);
  return option;
}

// ---- Roofline ----

const roofColours = { "": colours.blue, prefill: colours.blue, decode: colours.red };

// Bytes a second of a level for the whole device.
function levelRate(device, level) {
  return device.levels[level].bytes_ps * device.levels[level].copies;
}

function roofPoints(design, level) {
  const whole = sum(design.ops.map((op) => sum(opCosts(op))));
  return design.ops
    .filter((op) => op.flops > 0 && op.traffic_bytes[level] > 0 && sum(op.cost_s.map((s) => s ?? 0)) > 0)
    .map((op) => {
      const time = sum(op.cost_s.map((s) => s ?? 0));
      const most = op.cost_s.indexOf(Math.max(...op.cost_s.map((s) => s ?? 0)));
      return { name: opName(op), phase: op.phase, by: report.cost_names[most], share: op.runs * time / whole, value: [op.flops / op.traffic_bytes[level], op.flops / time] };
    });
}

function roofOption(design, level) {
  const device = design.device;
  const points = roofPoints(design, level);
  const ridges = device.levels.map((_, i) => device.flops_ps / levelRate(device, i)).filter(Number.isFinite);
  const [low, high] = range([...points.map((p) => p.value[0]), device.flops_ps / levelRate(device, level)]);
  const left = 10 ** Math.floor(Math.log10(low / 2));
  const right = 10 ** Math.ceil(Math.log10(high * 2));
  const [slowest] = range([...points.map((p) => p.value[1]), device.flops_ps / 10]);
  const bottom = 10 ** Math.floor(Math.log10(slowest / 1.5));
  const roofs = device.levels
    .map((mem, i) => ({ mem, i, rate: levelRate(device, i) }))
    .filter(({ rate }) => rate > 0 && ridges.length > 0)
    .map(({ mem, i, rate }) => {
      const start = Math.max(left, bottom / rate);
      const ridge = device.flops_ps / rate;
      const line = start < ridge ? [[start, start * rate], [Math.min(ridge, right), Math.min(ridge, right) * rate]] : [];
      if (ridge < right) line.push([Math.max(ridge, left), device.flops_ps], [right, device.flops_ps]);
      return {
        name: `${mem.name}: ${si(rate, "B/s", 3)}`, type: "line", data: line, showSymbol: false, silent: true,
        lineStyle: { width: i === level ? 3 : 1.2, type: i === level ? "solid" : "dashed", color: costColours[mem.name] }, itemStyle: { color: costColours[mem.name] }, z: i === level ? 3 : 2,
      };
    });
  const groups = [...new Set(points.map((p) => p.phase))].map((phase) => ({
    name: phase || "operators", type: "scatter", z: 5, data: points.filter((p) => p.phase === phase),
    symbolSize: (_, item) => 8 + 26 * Math.sqrt(item.data.share), itemStyle: { color: roofColours[phase] ?? colours.blue, opacity: 0.8, borderColor: "#fff" },
    label: { show: !narrow(), position: "right", formatter: (item) => item.name, color: colours.black, fontSize: 11 }, labelLayout: { hideOverlap: true },
  }));
  return {
    grid: { ...sides(), right: narrow() ? 16 : 90, top: narrow() ? 96 : 56, bottom: 40 },
    legend: { top: 0, left: 0, itemGap: 12 },
    tooltip: {
      trigger: "item", confine: true,
      formatter: (p) => lines(p.name, `${digits(p.value[0])} flop for each byte of ${device.levels[level].name}`, si(p.value[1], "flop/s"), `most of its time: ${p.data.by}`, `${percent(p.data.share)} of the operators' time`),
    },
    xAxis: { type: "log", min: left, max: right, name: `flops for each byte of ${device.levels[level].name}`, nameLocation: "middle", nameGap: 26, axisLabel: { formatter: (v) => si(v, "", 3).trim(), hideOverlap: true } },
    yAxis: { type: "log", min: bottom, max: 10 ** Math.ceil(Math.log10(device.flops_ps * 1.2)), name: "flop/s of a device", nameLocation: "middle", nameGap: sides().left - 22, axisLabel: { formatter: (v) => si(v, "", 3), hideOverlap: true } },
    series: [...roofs, ...groups],
  };
}

// ---- Budgets ----

const partNames = ["core", "DRAM", "L2", "L1", "reg_mem", "intra_node", "inter_node"];
const partLabels = { core: "core", DRAM: "DRAM interface", L2: "L2", L1: "L1", reg_mem: "registers", intra_node: "network in a node or wafer", inter_node: "network between them" };
const partColours = { core: colours.blue, DRAM: colours.orange, L2: colours.yellow, L1: colours.green, reg_mem: colours.sky, intra_node: colours.red, inter_node: colours.pink };

function sharesOption(row) {
  const budgets = ["area", "power", "perimeter"];
  const share = (budget, part) => (searches.json[`${budget}_${part}`] ? searches.at(`${budget}_${part}`, row) : 0);
  return {
    grid: { left: 8, right: 24, top: narrow() ? 84 : 52, bottom: 8, containLabel: true },
    legend: { top: 0, left: 0, itemGap: 12 },
    tooltip: { trigger: "item", confine: true, formatter: (p) => lines(`${p.seriesName}: ${percent(p.value)} of the chip's ${p.name}`) },
    xAxis: { type: "value", min: 0, max: 1, axisLabel: { formatter: (v) => percent(v), hideOverlap: true } },
    yAxis: { type: "category", inverse: true, data: budgets, axisLabel: { color: colours.black } },
    series: partNames
      .map((part) => ({
        name: partLabels[part], type: "bar", stack: "share", barMaxWidth: 30, itemStyle: { color: partColours[part], borderColor: "#fff", borderWidth: 0.5 },
        data: budgets.map((budget) => share(budget, part)),
        label: { show: true, formatter: (p) => (p.value > (narrow() ? 0.14 : 0.05) ? percent(p.value) : ""), color: ["core"].includes(part) ? "#fff" : colours.black, fontSize: 11 },
      }))
      .filter((series) => series.data.some((v) => v > 0)),
  };
}

// ---- Heat maps ----

// Best search, strategies and infeasible ones in each cell.
function heatCells(x, y) {
  const cells = new Map();
  const xs = strategies.column(x.name);
  const ys = strategies.column(y.name);
  const times = searches.column("best_time_s");
  for (let row = 0; row < strategies.rows; row++) {
    const at = [x.values.indexOf(xs[row]), y.values.indexOf(ys[row])];
    const key = at.join();
    const cell = cells.get(key) ?? { at, time: Infinity, row: -1, all: 0 };
    const best = bestOf(row);
    if (best < 0 && strategies.at("best_work", row) >= 0) continue; // its best is not on the page
    cell.all++;
    if (best >= 0 && times[best] < cell.time) {
      cell.time = times[best];
      cell.row = best;
    }
    cells.set(key, cell);
  }
  return [...cells.values()];
}

function heatOption(x, y) {
  const cells = heatCells(x, y);
  const found = cells.filter((cell) => cell.row >= 0);
  const empty = cells.filter((cell) => cell.row < 0);
  const none = report.count.pending > 0 ? "–" : "none";
  const [low, high] = range(found.map((cell) => cell.time));
  const small = x.values.length * y.values.length <= (narrow() ? 36 : 120);
  const bright = (time) => Math.log(high / time) > 0.45 * Math.log(high / low);
  const axis = (degree, more) => ({ type: "category", data: degree.values.map(degree.word), name: degree.label, nameLocation: "middle", splitArea: { show: false }, splitLine: { show: false }, nameTextStyle: { color: colours.black }, axisLabel: { color: colours.black, hideOverlap: true }, ...more });
  return {
    grid: { left: 34, right: 16, top: 10, bottom: 104, containLabel: true },
    tooltip: {
      confine: true,
      formatter: (p) => (p.seriesIndex === 1 ? lines(`${x.label} ${p.name}`, none === "–" ? "nothing found yet" : "nothing works", `${p.data.cell.all} strategies and layouts`) : lines(...searchLines(p.data.cell.row), `the best of ${p.data.cell.all} strategies and layouts`)),
    },
    xAxis: axis(x, { nameGap: 26 }),
    yAxis: axis(y, { nameGap: Math.max(30, 12 + 7 * Math.max(...y.values.map((v) => y.word(v).length))) }),
    visualMap: {
      type: "continuous", seriesIndex: 0, min: Math.log10(low), max: high > low ? Math.log10(high) : Math.log10(low) + 1e-3, calculable: true, orient: "horizontal", left: "center", bottom: 4, itemHeight: narrow() ? 120 : 260,
      text: ["slower", "time, faster"], inRange: { color: [...cividis].reverse() }, formatter: (v) => seconds(10 ** v, 3), textStyle: { color: colours.black },
    },
    series: [
      {
        name: "time", type: "heatmap", itemStyle: { borderColor: "#fff", borderWidth: 1 },
        data: found.map((cell) => ({ value: [...cell.at, Math.log10(cell.time)], cell, label: { color: bright(cell.time) ? "#000" : "#fff" } })),
        label: { show: small, formatter: (p) => seconds(10 ** p.value[2], 3), fontSize: narrow() ? 9 : 12 },
      },
      {
        name: "nothing works", type: "heatmap", itemStyle: { color: "#e4e7ea", borderColor: "#fff", borderWidth: 1 },
        data: empty.map((cell) => ({ value: [...cell.at, 0], cell, itemStyle: { color: "#e4e7ea" } })), label: { show: true, formatter: none, color: "#5a6673", fontSize: narrow() ? 9 : 11 },
      },
    ],
  };
}

// ---- One degree at a time ----

// The fastest and the median of the best searches of strategies with each value.
function degreePoints(degree) {
  const column = strategies.column(degree.name);
  const times = searches.column("best_time_s");
  const found = new Map(degree.values.map((v) => [v, []]));
  for (let row = 0; row < strategies.rows; row++) {
    const best = bestOf(row);
    if (best >= 0) found.get(column[row]).push([times[best], best]);
  }
  return degree.values.map((value) => {
    const sorted = found.get(value).sort((a, b) => a[0] - b[0]);
    return sorted.length > 0 ? { value, best: sorted[0][0], row: sorted[0][1], median: sorted[sorted.length >> 1][0] } : { value, best: null, median: null, row: -1 };
  });
}

function degreesOption(list) {
  const across = narrow() ? 1 : Math.min(3, list.length);
  const height = 240;
  const width = 100 / across;
  const all = list.map(degreePoints);
  const [low, high] = range(all.flat().flatMap((p) => [p.best, p.median]).filter((v) => v !== null));
  const shared = axisFor(secondsQuantity, low, high);
  if (shared.type === "value") Object.assign(shared, { scale: false, min: low - 0.1 * (high - low), max: high + 0.1 * (high - low), axisLabel: { ...shared.axisLabel, showMinLabel: false, showMaxLabel: false } });
  const place = (i) => ({ left: `${width * (i % across) + (narrow() ? 15 : 6)}%`, width: `${width - (narrow() ? 19 : 8)}%`, top: 44 + height * Math.floor(i / across), height: height - 100 });
  const series = (name, key, colour, symbol) =>
    all.map((points, i) => ({ name, type: "line", xAxisIndex: i, yAxisIndex: i, symbol, symbolSize: 8, itemStyle: { color: colour }, lineStyle: { color: colour, type: key === "median" ? "dashed" : "solid" }, data: points.map((p) => ({ value: p[key], row: p.row })) }));
  return {
    legend: { top: 0, left: 0, data: ["best", "median"] },
    grid: list.map((_, i) => place(i)),
    tooltip: { trigger: "item", confine: true, formatter: (p) => (p.seriesName === "best" && p.data.row >= 0 ? lines(...searchLines(p.data.row)) : lines(`median: ${seconds(p.value)}`)) },
    xAxis: list.map((degree, i) => ({ type: "category", gridIndex: i, data: degree.values.map(degree.word), name: degree.label, nameLocation: "middle", nameGap: degree.name === "layout" ? 48 : 24, axisLabel: { hideOverlap: true, ...(degree.name === "layout" ? { formatter: (v) => v.replaceAll(" ", "\n"), interval: 0, fontSize: 9, lineHeight: 10 } : {}) } })),
    yAxis: list.map((_, i) => ({ ...shared, gridIndex: i, name: i % across === 0 ? "time (s)" : "", nameGap: 46, splitNumber: 4 })),
    series: [...series("best", "best", colours.blue, "circle"), ...series("median", "median", colours.orange, "rect")],
  };
}

// ---- All searches ----

// Rows that no other is better than in both.
function frontOf(xs, ys) {
  const rows = [...xs.keys()].filter((i) => Number.isFinite(xs[i]) && Number.isFinite(ys[i]));
  rows.sort((a, b) => xs[a] - xs[b] || ys[a] - ys[b]);
  let least = Infinity;
  return rows.filter((row) => {
    const better = ys[row] < least;
    least = Math.min(least, ys[row]);
    return better;
  });
}

const goalNames = { time: "time", energy: "energy", edp: "energy × time", time_per_area: "time × area", tokens_per_s_per_w: "tokens/s for each W" };

// What the file's front is of: its objectives; or else what is modelled of three.
function frontAxes() {
  const keys = report.front_of_file ? report.asked.goals : ["time", "energy", "area"];
  const named = (key) => quantities.find((q) => q.key === key)?.label ?? goalNames[key] ?? key;
  return keys.filter((key) => report.front_of_file || quantities.some((q) => q.key === key && new Set(q.values()).size > 1)).map(named);
}

function allOption(x, y) {
  const xs = x.values();
  const ys = y.values();
  const points = [];
  for (let row = 0; row < searches.rows; row++) {
    if (Number.isFinite(xs[row]) && Number.isFinite(ys[row])) points.push([xs[row], ys[row], row]);
  }
  const front = frontOf(xs, ys).map((row) => [xs[row], ys[row], row]);
  const marks = searches.column("front");
  const marked = points.filter(([, , row]) => marks[row]);
  const [xl, xh] = range(points.map((p) => p[0]));
  const [yl, yh] = range(points.map((p) => p[1]));
  const several = frontAxes();
  const drawn = [x, y].map((q) => q.label);
  const apart = several.some((name) => !drawn.includes(name)); // else it is the other front
  const names = ["searches", `no other is better in all of ${several.join(", ")}`, `front of ${x.label} and ${y.label}`];
  return {
    grid: { ...sides(), top: narrow() ? 96 : 60, bottom: 44 },
    legend: { top: 0, left: 0, itemGap: 12, data: names.filter((_, i) => i !== 1 || apart) },
    tooltip: { trigger: "item", confine: true, formatter: (p) => lines(...searchLines(p.value[2]), `${x.label}: ${x.text(p.value[0])}`, `${y.label}: ${y.text(p.value[1])}`) },
    toolbox: { right: 0, top: 0, feature: { dataZoom: { title: { zoom: "zoom into a part", back: "back" } }, restore: { title: "all" } } },
    xAxis: axisFor(x, xl, xh, { nameGap: 28 }),
    yAxis: axisFor(y, yl, yh, { nameGap: sides().left - 22 }),
    series: [
      { name: "searches", type: "scatter", data: points, symbolSize: points.length > 20000 ? 3 : points.length > 2000 ? 4 : 7, itemStyle: { color: colours.sky, opacity: 0.55 }, large: points.length > 5000, largeThreshold: 5000, progressive: 0, emphasis: { disabled: true } },
      { name: names[1], type: "scatter", data: apart ? marked : [], symbol: "diamond", symbolSize: 9, itemStyle: { color: colours.orange, borderColor: "#fff", borderWidth: 0.5 }, z: 3 },
      { name: names[2], type: "scatter", data: front, symbolSize: 9, itemStyle: { color: colours.red }, z: 5 },
      { name: names[2], type: "line", step: "end", data: front, symbol: "none", silent: true, itemStyle: { color: colours.red }, lineStyle: { color: colours.red, width: 1.5 }, z: 4 },
    ],
  };
}

// Marks a point with a ring, on a layer of its own: the others are not drawn again.
function ring(id, point) {
  const chart = instances[id];
  chart.ring ??= new echarts.graphic.Circle({ zlevel: 1, silent: true, shape: { r: 10 }, style: { fill: "none", stroke: colours.black, lineWidth: 2.5 } });
  chart.getZr().add(chart.ring);
  const at = point && chart.convertToPixel({ gridIndex: 0 }, point);
  const inside = Boolean(at) && at.every(Number.isFinite) && chart.containPixel({ gridIndex: 0 }, at);
  chart.ring.attr({ invisible: !inside, shape: inside ? { cx: at[0], cy: at[1] } : {} });
}

// ---- Descents ----

function descentsOption() {
  const best = report.ranked.slice(0, 10);
  const followed = report.trajectories;
  const [low, high] = range(followed.flatMap((t) => t.time_s).filter((v) => v !== null));
  const longest = Math.max(...followed.map((t) => t.time_s.length));
  return {
    grid: { ...sides(), top: narrow() ? 150 : 84, bottom: 44 },
    legend: { top: 0, left: 0, type: narrow() ? "scroll" : "plain", data: [...followed.filter((t) => best.includes(t.work_id)).map((t) => descentName(t, best)), ...(followed.length > best.length ? ["other starts of the best strategy"] : [])] },
    tooltip: { trigger: "item", confine: true, formatter: (p) => lines(`search ${followed[p.seriesIndex].work_id}, iteration ${p.value[0]}: ${seconds(p.value[1])}`) },
    xAxis: { type: "value", name: "iteration", nameLocation: "middle", nameGap: 28, max: longest - 1, minInterval: 1 },
    yAxis: axisFor(secondsQuantity, low, high, { nameGap: sides().left - 22 }),
    series: followed.map((t) => {
      const rank = best.indexOf(t.work_id);
      return {
        name: descentName(t, best), type: "line", symbol: "circle", symbolSize: 4, showSymbol: rank >= 0, triggerLineEvent: true, connectNulls: false,
        data: t.time_s.map((time, i) => [i, time]), z: rank >= 0 ? 3 : 2,
        lineStyle: { width: rank >= 0 ? 2 : 1, color: rank >= 0 ? lineColours[rank] : "#b4bcc4" }, itemStyle: { color: rank >= 0 ? lineColours[rank] : "#b4bcc4" },
      };
    }),
  };
}

function descentName(t, best) {
  const rank = best.indexOf(t.work_id);
  return rank < 0 ? "other starts of the best strategy" : `${rank + 1}: ${strategyName(rowOfStrategy.get(t.strategy_id))}`;
}

// Rows of a strategy in the order of their starting points.
function rowsOf(strategyId) {
  const ids = searches.column("strategy_id");
  const rows = [];
  for (let row = 0; row < searches.rows; row++) if (ids[row] === strategyId) rows.push(row);
  return rows;
}

// Without iterates: what each start found, and the best of all so far. Where a strategy has one
// start alone, the best strategies side by side.
function startsOption(strategyId) {
  const own = rowsOf(strategyId);
  const one = own.length < 2;
  const rows = one ? report.ranked.map(rowOfWork).filter((row) => row >= 0) : own;
  const at = (name) => rows.map((row, i) => [one ? i + 1 : searches.at("index", row), searches.at(name, row), row]);
  const found = at("best_time_s");
  const starts = at("start_time_s").filter((p) => Number.isFinite(p[1]));
  let least = Infinity;
  const soFar = one ? [] : found.map(([index, time, row]) => [index, (least = Math.min(least, time)), row]);
  const [low, high] = range([...found, ...starts].map((p) => p[1]));
  return {
    grid: { ...sides(), top: narrow() ? 70 : 44, bottom: 44 },
    legend: { top: 0, left: 0, data: ["time of the start", "best of the descent", ...(one ? [] : ["best so far"])] },
    tooltip: { trigger: "item", confine: true, formatter: (p) => lines(...searchLines(p.value[2]), `${p.seriesName}: ${seconds(p.value[1])}`) },
    xAxis: { type: "value", scale: true, name: one ? "strategies and layouts, best first" : "starting point (index)", nameLocation: "middle", nameGap: 28, minInterval: 1 },
    yAxis: axisFor(secondsQuantity, low, high, { nameGap: sides().left - 22 }),
    series: [
      { name: "time of the start", type: "scatter", data: starts, symbol: "emptyCircle", symbolSize: 6, progressive: 0, itemStyle: { color: colours.grey } },
      { name: "best of the descent", type: "scatter", data: found.filter((p) => Number.isFinite(p[1])), symbolSize: 6, progressive: 0, itemStyle: { color: colours.blue } },
      { name: "best so far", type: "line", step: "end", data: soFar.filter((p) => Number.isFinite(p[1])), symbol: "none", silent: true, lineStyle: { color: colours.red, width: 2 }, itemStyle: { color: colours.red } },
    ],
  };
}

// On fixed hardware: all strategies, best first.
function ranksOption() {
  const times = searches.column("best_time_s");
  const rows = [...times.keys()].filter((row) => Number.isFinite(times[row])).sort((a, b) => times[a] - times[b]);
  const [low, high] = range(times);
  return {
    grid: { ...sides(), top: 16, bottom: 44 },
    tooltip: { trigger: "item", confine: true, formatter: (p) => lines(`number ${p.value[0]}`, ...searchLines(p.value[2])) },
    xAxis: { type: "value", min: 0, max: rows.length, name: "strategies and layouts, fastest first", nameLocation: "middle", nameGap: 28, minInterval: 1 },
    yAxis: axisFor(secondsQuantity, low, high, { nameGap: sides().left - 22 }),
    series: [{ name: "time", type: "scatter", data: rows.map((row, i) => [i + 1, times[row], row]), symbolSize: 4, large: rows.length > 5000, progressive: 0, itemStyle: { color: colours.blue } }],
  };
}
