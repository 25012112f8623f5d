"use strict";
// Builds the page from its JSON. Text goes in as text only: names come from the users' files.
(() => {
  const byId = (id) => document.getElementById(id);
  const content = JSON.parse(byId("content").textContent);
  const album = JSON.parse(byId("pictures").textContent);
  const problems = content.problems;
  let problem = problems[0];

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }
  const swatch = (colour) => {
    const square = make("span", { class: "swatch", "aria-hidden": "true" });
    if (colour) square.style.background = colour;
    return square;
  };
  const options = (select, titles) =>
    select.replaceChildren(...titles.map((title, at) => make("option", { value: at }, title)));
  const shortened = (text) => (text.length > 90 ? text.slice(0, 89) + "…" : text);

  /** A table of texts; with `ruled` a rule stands where the first cell changes. */
  function plainTable(title, heads, rows, { numeric = () => false, ruled = false } = {}) {
    const head = heads.map((text, at) => make("th", { scope: "col", class: numeric(at) ? "n" : null }, text));
    const body = rows.map((row, place) =>
      make("tr", { class: ruled && place && row[0] !== rows[place - 1][0] ? "first" : null }, ...row.map((text, at) => make("td", { class: numeric(at) ? "n" : null }, text))));
    return make("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": title },
      make("table", {}, make("caption", {}, title),
        heads.length ? make("thead", {}, make("tr", {}, ...head)) : null, make("tbody", {}, ...body)));
  }

  // Figures: drawn when they come near the window, and again when what they show changes

  const drawings = new Map();
  let plotlyTried = false;
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "300px" });

  function draw(box) {
    near.unobserve(box);
    const drawing = drawings.get(box);
    if (!drawing || drawing.drawn) return;
    if (!window.Plotly) {
      if (plotlyTried) box.replaceChildren(make("p", { class: "missing" }, "This figure cannot be drawn: plotly, which this page carries, did not start in this browser. The tables have its numbers."));
      return;
    }
    drawing.drawn = true;
    const figure = drawing.figure();
    Plotly.react(box, figure.data, figure.layout, content.theme.config);
  }
  /** The figure in the box once it is near; `of` says what of its section it shows. */
  function show(box, figure, { of = "", height = 440 } = {}) {
    const before = drawings.get(box);
    const heading = box.closest("section").querySelector("h2").textContent;
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", of ? `${heading}: ${of}` : heading);
    box.style.minHeight = `${height}px`; // so that nothing moves when it is drawn
    drawings.set(box, { figure, drawn: false });
    if (before && before.drawn) draw(box);
    else {
      near.unobserve(box);
      near.observe(box);
    }
  }
  function clear(box, text) {
    if (drawings.delete(box) && window.Plotly) Plotly.purge(box);
    near.unobserve(box);
    box.style.minHeight = "";
    box.removeAttribute("role");
    box.removeAttribute("aria-label");
    box.replaceChildren(...(text ? [make("p", { class: "missing" }, text)] : []));
  }
  const section = (id, there) => {
    byId(id).hidden = !there;
    const link = document.querySelector(`nav a[href="#${id}"]`);
    if (link) link.hidden = !there;
  };

  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  function wrapped(text, width = 60) {
    const rows = [""];
    for (const word of text.split(" ")) {
      if (rows.at(-1) && rows.at(-1).length + word.length > width) rows.push(word);
      else rows[rows.length - 1] += (rows.at(-1) ? " " : "") + word;
    }
    return rows.map(escaped).join("<br>");
  }
  const hovered = (line) => `#${line.rank} ${wrapped(line.label)}`;

  /** The problem's trials as plotly lines: the grey ones as a single one, the best on top. */
  function lineTraces(xName, yName, hover) {
    const series = problem.series;
    const column = (name) => (name === "iteration" ? series.iteration : series.columns[name]);
    const xs = column(xName), ys = column(yName);
    const grey = { x: [], y: [], text: [], line: { color: content.theme.grey, width: 0.8 } };
    const coloured = [];
    problem.lines.forEach((line, at) => {
      const into = line.colour ? { x: [], y: [], text: [], line: { color: line.colour, width: 1.8 } } : grey;
      const name = hovered(line);
      for (let i = 0; i < xs[at].length; i++) {
        if (xs[at][i] === null || ys[at][i] === null) continue;
        into.x.push(xs[at][i]);
        into.y.push(ys[at][i]);
        into.text.push(name);
      }
      if (line.colour) coloured.unshift(into);
      else { grey.x.push(null); grey.y.push(null); grey.text.push(""); }
    });
    const all = grey.x.length ? [grey, ...coloured] : coloured;
    return all.map((trace) => ({ type: "scatter", mode: "lines", connectgaps: false, hovertemplate: hover, ...trace }));
  }

  /** Dotted lines of known methods, their names at the right edge moved apart. */
  function withLevels(layout, levels, traces, log) {
    let low = Infinity, high = -Infinity;
    for (const trace of traces) for (const y of trace.y) {
      if (y === null || (log && y <= 0)) continue;
      low = Math.min(low, y);
      high = Math.max(high, y);
    }
    for (const name of levels.names) { low = Math.min(low, name.y); high = Math.max(high, name.y); }
    const scaled = (y) => (log ? Math.log10(y) : y);
    const height = (layout.height || 440) - 110;
    const span = (scaled(high) - scaled(low)) * 1.1 || 1;
    const step = Math.max(15, levels.gap * height * 0.7);
    let floor = -Infinity;
    const annotations = levels.names.map((name) => {
      const natural = ((scaled(name.y) - scaled(low)) / span) * height;
      const moved = Math.max(natural, floor + step);
      floor = moved;
      return { xref: "paper", x: 1, xanchor: "left", xshift: 4, y: scaled(name.y), yanchor: "middle", yshift: moved - natural,
        text: name.text, showarrow: false, font: { size: 12, color: "#444" } };
    });
    const longest = Math.max(0, ...levels.names.map((name) => name.text.length));
    return { ...layout, shapes: levels.shapes, annotations, margin: { ...layout.margin, r: 16 + 6.6 * longest } };
  }

  // Head

  function showRun() {
    const run = content.run;
    byId("run-name").textContent = run.name;
    const counts = run.outcomes.map(([count, words]) => `${count} ${words}`).join(", ");
    const several = problems.length > 1 ? ` on ${problems.length} pictures` : "";
    byId("run-outcomes").textContent =
      `${run.trials} trial${run.trials === 1 ? "" : "s"}${several}${counts ? ": " + counts : ""}.` +
      (run.saved ? ` Early stopping saved ${run.saved}.` : "");
    byId("run-asked").replaceChildren(
      ...run.asked.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text))));
    const choice = byId("problem");
    options(choice, problems.map((each) => each.name));
    byId("problem-choice").hidden = problems.length < 2;
    choice.addEventListener("change", () => showProblem(problems[Number(choice.value)]));
    if (problems.length > 1) {
      const rows = problems.map((each) => [each.name, each.described, each.headline.best, each.headline.score]);
      byId("overview").replaceChildren(plainTable("the best of each picture", ["picture", "what", "configuration", "result"], rows));
      byId("overview").hidden = false;
    }
    byId("contents").replaceChildren(
      ...[...document.querySelectorAll("main section")].map((each) =>
        make("a", { href: `#${each.id}` }, each.dataset.short || each.querySelector("h2").textContent)));
    byId("album-note").textContent = album.note;
    byId("album-note").hidden = !album.note;
  }

  function showHeadline() {
    const said = problem ? problem.headline : { best: "", score: "This run has no trials yet.", gain: "" };
    const name = problem ? `${problem.name}: ${problem.described}` : "";
    byId("headline").replaceChildren(
      name ? make("p", { class: "note" }, name) : "",
      said.best ? make("p", { class: "best" }, said.best) : "",
      make("p", {}, said.score),
      said.gain ? make("p", {}, said.gain) : "",
      said.restored ? make("p", {}, said.restored) : "");
  }

  // Leaderboard

  /** Texts in the order of their words, decimal numbers in them by value. */
  function compareTexts(one, other) {
    const parts = (text) => text.split(/(\d+(?:\.\d+)?(?:e[+-]?\d+)?)/);
    const ours = parts(one), theirs = parts(other);
    for (let at = 0; at < Math.min(ours.length, theirs.length); at++) {
      const ahead = at % 2 ? Number(ours[at]) - Number(theirs[at]) : ours[at].localeCompare(theirs[at], "en");
      if (ahead) return ahead;
    }
    return ours.length - theirs.length;
  }
  const order = { column: 0, falling: false };

  function showBoard() {
    const board = problem.board;
    const all = byId("board-all").checked;
    const shown = board.columns.map((column, at) => ({ ...column, at })).filter((column) => all || column.shown);
    const heads = shown.map((column) => {
      const button = make("button", { type: "button" }, column.title);
      button.addEventListener("click", () => sortBoard(column.at));
      return make("th", { scope: "col", class: column.number ? "n" : null, "data-at": column.at }, button);
    });
    const colours = new Map(problem.lines.map((line) => [line.trial, line.colour]));
    const rows = board.rows.map((row) => {
      const kind = [row.trial === null ? "method" : "", row.alarm ? "alarm" : ""].join(" ").trim();
      const cells = shown.map((column) => cell(column, row, colours));
      const line = make("tr", { class: kind || null }, ...cells);
      const words = board.columns.map((column, at) => `${row.cells[at][0]} ${column.shown ? "" : column.title + "=" + row.cells[at][0]}`);
      line.dataset.words = `${words.join(" ")} ${row.trial || "known method"}`.toLowerCase();
      line.cells_ = row.cells;
      return line;
    });
    byId("board").replaceChildren(
      make("caption", {}, `${problem.name}, ranked by ${problem.metric}`),
      make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
    const kept = shown.some((column) => column.at === order.column);
    sortBoard(kept ? order.column : 0, kept && order.falling);
    filterBoard();
  }
  function cell(column, row, colours) {
    const text = row.cells[column.at][0];
    if (column.key === "configuration") {
      if (row.trial === null) return make("td", { class: "words" }, text, make("span", { class: "note" }, " (known method)"));
      const link = make("button", { type: "button", class: "link", title: `pictures of ${row.trial}` }, text);
      link.addEventListener("click", () => showSide(row.trial, true));
      return make("td", { class: "words" }, make("div", { class: "named" }, swatch(colours.get(row.trial)), link));
    }
    const kind = column.key === "ended_by" ? "ended" : column.number ? "n" : null;
    return make("td", { class: kind }, text);
  }
  function sortBoard(at, falling) {
    order.falling = falling === undefined ? order.column === at && !order.falling : falling;
    order.column = at;
    const number = problem.board.columns[at].number;
    const body = byId("board").tBodies[0];
    const value = (row) => (number ? row.cells_[at][1] : row.cells_[at][0]);
    const compare = (one, other) => {
      const a = value(one), b = value(other);
      if (a === null || b === null || a === undefined || b === undefined || a === "–" || b === "–") {
        return (a === null || a === undefined || a === "–") - (b === null || b === undefined || b === "–");
      }
      const ahead = number ? a - b : compareTexts(a, b);
      return order.falling ? -ahead : ahead;
    };
    body.append(...[...body.rows].sort(compare));
    for (const head of byId("board").tHead.rows[0].cells) {
      const state = Number(head.dataset.at) === at ? (order.falling ? "descending" : "ascending") : "none";
      head.setAttribute("aria-sort", state);
    }
  }
  function filterBoard() {
    const words = byId("board-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...byId("board").tBodies[0].rows];
    for (const row of rows) row.hidden = !words.every((word) => row.dataset.words.includes(word));
    const left = rows.filter((row) => !row.hidden).length;
    byId("board-count").textContent = left === rows.length ? `${left} rows` : `${left} of ${rows.length} rows`;
  }

  // Curves and paths

  function showLegends() {
    const coloured = problem.lines.filter((line) => line.colour);
    const grey = problem.lines.length - coloured.length;
    for (const list of document.querySelectorAll("[data-legend]")) {
      list.replaceChildren(
        ...coloured.map((line) => make("li", {}, swatch(line.colour), make("span", {}, `#${line.rank} ${line.label}`))),
        grey ? make("li", {}, swatch(content.theme.grey), make("span", {}, `the other ${grey}`)) : "");
    }
  }
  const column = () => problem.columns[Number(byId("curve-column").value)] || problem.columns[0];
  function chooseColumn() {
    byId("curve-log-y").checked = column().log;
    showCurves();
  }
  function showCurves() {
    const chosen = column();
    byId("curve-meaning").textContent = `${chosen.title}: ${chosen.meaning}.`;
    show(byId("curve-figure"), () => {
      const logX = byId("curve-log-x").checked, logY = byId("curve-log-y").checked;
      const data = lineTraces("iteration", chosen.name, "%{text}<br>iteration %{x:,}: %{y:.5g}<extra></extra>");
      const base = problem.curves.layout;
      const layout = { ...base,
        xaxis: { ...base.xaxis, type: logX ? "log" : "linear", tickformat: ",~r" },
        yaxis: { ...base.yaxis, type: logY ? "log" : "linear", tickformat: logY ? "~g" : "", title: { ...base.yaxis.title, text: chosen.title } } };
      return { data, layout: chosen.levels ? withLevels(layout, problem.curves.levels, data, logY) : layout };
    }, { of: `${chosen.title} over iterations` });
  }
  function showPaths() {
    const kind = problem.paths.kinds[Number(byId("path-kind").value)] || problem.paths.kinds[0];
    show(byId("path-figure"), () => {
      const lines = lineTraces(kind.x, kind.y, "%{text}<br>TV %{x:.4g}, %{y:.2f} dB<extra></extra>");
      return { data: [...lines, ...kind.marks], layout: withLevels(problem.paths.layout, problem.paths.levels, lines, false) };
    }, { of: kind.title });
  }
  const hasWebgl = (() => {
    try {
      return Boolean(document.createElement("canvas").getContext("webgl"));
    } catch {
      return false;
    }
  })();
  function showParallel() {
    const box = byId("parallel-figure");
    clear(box);
    if (!problem.parallel) return;
    if (hasWebgl) show(box, () => problem.parallel, { of: problem.metric, height: problem.parallel.layout.height });
    else clear(box, "This figure needs WebGL, which this browser does not offer; the leaderboard with all columns has the same numbers.");
  }

  // Learning rates, seeds, settings

  /** A section of groups: choices of group and plot, the tables of the group below. */
  function grouped(name, groups, caption) {
    const at = (part) => byId(`${name}-${part}`);
    const group = () => groups()[Number(at("group").value)] || groups()[0];
    function showPlot() {
      const plot = group().plots[Number(at("column").value)];
      at("figure").hidden = !plot;
      at("legend").replaceChildren();
      if (!plot) return;
      at("legend").replaceChildren(
        ...plot.legend.map(([colour, text]) => make("li", {}, swatch(colour), make("span", {}, text))));
      show(at("figure"), () => plot.figure, { of: plot.title, height: plot.figure.layout.height });
    }
    function showGroup() {
      options(at("column"), group().plots.map((plot) => plot.title));
      at("tables").replaceChildren(...group().tables.map((table) => {
        const all = plainTable(caption(table), table.heads, table.rows, { numeric: (at) => at > 0 || table.heads[0] !== "", ruled: table.heads[0] !== "" });
        const slopes = table.slopes && plainTable(`${caption(table)}, change for a tenfold learning rate (95 % interval over seeds)`,
          table.slopes.heads, table.slopes.rows, { numeric: () => true });
        if (slopes) slopes.classList.add("slopes");
        return make("div", { class: "matched" }, all, slopes,
          make("ul", { class: "note" }, ...table.sentences.map((text) => make("li", {}, text))));
      }));
      showPlot();
    }
    at("group").addEventListener("change", showGroup);
    at("column").addEventListener("change", showPlot);
    return () => {
      options(at("group"), groups().map((each) => shortened(each.label)));
      showGroup();
    };
  }
  const showRates = grouped("rate", () => problem.rates, (table) => `at ${table.title}`);
  const showStability = grouped("edge", () => content.stability, (table) => table.title);
  function showSeeds() {
    const seeds = problem.seeds;
    byId("seed-members").textContent = `${seeds.members} seeds of ${seeds.label}, averages of their last iterations.`;
    byId("seed-law").textContent = seeds.law;
    byId("seed-figure").hidden = byId("seed-legend").hidden = !seeds.figure;
    if (seeds.figure) show(byId("seed-figure"), () => seeds.figure, { of: "PSNR by the number of pictures averaged", height: seeds.figure.layout.height });
    byId("seed-legend").replaceChildren(
      ...(seeds.legend || []).map(([colour, text]) => make("li", {}, swatch(colour), make("span", {}, text))));
    const scale = make("span", {}, make("span", { class: "scale" }),
      make("span", { class: "ends" }, make("span", {}, "0"), make("span", {}, `${seeds.top} or more`)));
    const deviation = picture(seeds.deviation, "standard deviation over seeds", "where the seeds disagree; the range of values is 1");
    if (deviation) deviation.querySelector("figcaption").append(scale);
    fill("seed-pictures", [picture(seeds.mean, "mean over seeds", ""), deviation]);
    byId("seed-table").replaceChildren(
      ...(seeds.psnr.length ? [plainTable("PSNR, dB", ["picture", "PSNR, dB"], seeds.psnr, { numeric: (at) => at === 1 })] : []));
  }
  function showFactors() {
    const { effects, importance } = content.factors;
    section("factors", Boolean(effects || importance));
    const body = byId("factor-body");
    const figures = [];
    if (effects) {
      const box = make("div", { class: "figure" });
      figures.push([box, effects.figure, "differences"]);
      body.append(make("ul", {}, ...effects.sentences.map((text) => make("li", {}, text))), box);
      if (effects.left_out) body.append(make("p", { class: "note" }, `The plot shows the greatest differences and leaves out ${effects.left_out}; the table has all.`));
      body.append(plainTable("differences between two values of a setting", effects.table.heads, effects.table.rows, { numeric: (at) => at > 2 && at < 9, ruled: true }));
    }
    if (importance) {
      const box = make("div", { class: "figure" });
      figures.push([box, importance.figure, "which setting matters"]);
      body.append(make("h3", {}, "Which setting matters"),
        make("p", { class: "about" }, `The share of the variance of ${importance.metric} that is the setting's: half of what the squared error of a random forest on held-out trials grows by when the values of the setting are shuffled. The forest explains R² = ${importance.r2} of their variance; with an R² near or below 0 the bars mean nothing, and they are grey. Whiskers are one standard deviation over splits and shuffles.`), box);
    }
    for (const [box, figure, of] of figures) show(box, () => figure, { of, height: figure.layout.height });
  }

  // Pictures

  /** The width that all pictures of a problem have, whole multiples of their pixels if they fit. */
  function sized(image, most) {
    const [height, width] = problem.gallery.size || [image.naturalHeight, image.naturalWidth];
    const longest = Math.max(height, width);
    const scale = longest > most ? most / longest : Math.floor(most / longest);
    image.style.width = `${Math.round(width * scale)}px`;
    image.style.imageRendering = width * scale >= image.naturalWidth ? "pixelated" : "auto";
  }
  function picture(key, title, note, most = 256) {
    const source = album.by_key[key];
    if (!source) return null;
    const image = make("img", { alt: note ? `${title}, ${note}` : title, loading: "lazy", width: most });
    image.addEventListener("load", () => {
      sized(image, most);
      caption.style.width = image.style.width;
    });
    image.src = source;
    const button = make("button", { type: "button", class: "zoom", title: "enlarge" }, image);
    button.addEventListener("click", () => enlarge(image));
    const caption = make("figcaption", {}, title, note ? make("span", {}, note) : null);
    return make("figure", { "data-key": key }, button, caption);
  }
  const fill = (id, shots) => byId(id).replaceChildren(...shots.filter(Boolean));
  function enlarge(image) {
    const large = byId("zoom-image");
    large.src = image.src;
    large.alt = image.alt;
    byId("zoom-title").textContent = image.alt;
    const fit = Math.min((window.innerWidth * 0.9) / image.naturalWidth, (window.innerHeight * 0.8) / image.naturalHeight);
    large.style.width = `${Math.round(image.naturalWidth * (fit >= 1 ? Math.floor(fit) : fit))}px`;
    large.style.imageRendering = fit >= 1 ? "pixelated" : "auto";
    byId("zoom").showModal();
  }

  function showGallery() {
    const { kinds, film } = problem.gallery;
    const frames = film.filter((frame) => album.by_key[frame.key]);
    byId("film").hidden = !frames.length;
    byId("film-none").hidden = Boolean(frames.length);
    if (frames.length) {
      const slider = byId("film-at");
      slider.max = frames.length - 1;
      slider.value = Math.floor(frames.length / 2);
      const first = frames[Number(slider.value)];
      fill("film-shots", [
        picture(first.key, "output", ""),
        picture(problem.gallery.truth, "truth", ""),
        picture(problem.gallery.measurement, "measurement", "")]);
      const image = byId("film-shots").querySelector("img");
      slider.oninput = () => {
        const frame = frames[Number(slider.value)];
        image.src = album.by_key[frame.key];
        image.alt = `output at iteration ${frame.iteration}`;
        slider.setAttribute("aria-valuetext", `iteration ${frame.iteration}`);
        byId("film-note").textContent = `${frame.iteration.toLocaleString("en")}${frame.note ? ": " + frame.note : ""}`;
      };
      slider.oninput();
    }
    const lines = problem.lines;
    options(byId("side-trial"), lines.map((line) => shortened(`#${line.rank} ${line.label}`)));
    byId("side-trial").parentElement.hidden = !lines.length;
    showSide(lines.length ? lines[0].trial : null, false);
    const there = kinds.filter((kind) => lines.some((line) => album.by_key[`${line.trial}/${kind.name}`]));
    options(byId("sheet-kind"), there.map((kind) => kind.title));
    byId("sheet").hidden = byId("sheet-kind").parentElement.hidden = !there.length;
    const showSheet = () => {
      const kind = there[Number(byId("sheet-kind").value)];
      if (!kind) return fill("sheet", []);
      fill("sheet", lines.map((line) =>
        picture(`${line.trial}/${kind.name}`, `#${line.rank} ${line.label}`, problem.gallery.notes[line.trial][kind.name], 160)));
    };
    byId("sheet-kind").onchange = showSheet;
    showSheet();
  }
  function showSide(trial, scroll) {
    const { fixed, kinds, notes } = problem.gallery;
    const at = problem.lines.findIndex((line) => line.trial === trial);
    if (at >= 0) byId("side-trial").value = at;
    fill("side-shots", [
      ...fixed.map((each) => picture(each.key, each.title, each.note)),
      ...(at < 0 ? [] : kinds.map((kind) => picture(`${trial}/${kind.name}`, kind.title, notes[trial][kind.name])))]);
    if (scroll) byId("side-trial").scrollIntoView({ block: "start" });
  }

  /** JSON with lists and objects of plain values in one line each. */
  function indented(value, margin = "") {
    const isPlain = (each) => each === null || typeof each !== "object";
    if (isPlain(value)) return JSON.stringify(value);
    const isList = Array.isArray(value);
    const parts = Object.entries(value).map(([name, each]) => [isList ? "" : `${JSON.stringify(name)}: `, each]);
    const [open, close] = isList ? "[]" : "{}";
    if (parts.every(([, each]) => isPlain(each))) {
      return open + parts.map(([name, each]) => name + JSON.stringify(each)).join(", ") + close;
    }
    const inner = `${margin}  `;
    const rows = parts.map(([name, each]) => inner + name + indented(each, inner));
    return `${open}\n${rows.join(",\n")}\n${margin}${close}`;
  }
  function showOrigin() {
    const { space, tables, left_out: leftOut } = content.origin;
    const body = byId("origin-body");
    if (leftOut.length) {
      body.append(make("h3", {}, "What could not be read"), make("ul", {}, ...leftOut.map((text) => make("li", {}, text))));
    }
    if (space) {
      body.append(make("h3", {}, "The space that was searched"),
        make("pre", { tabindex: 0 }, typeof space === "string" ? space : indented(space)));
    }
    const filled = tables.filter((table) => table.rows.length);
    body.append(make("div", { class: "columns" }, ...filled.map((table) => plainTable(table.title, [], table.rows))));
  }

  function showProblem(chosen) {
    problem = chosen;
    showHeadline();
    const lines = problem ? problem.lines.length : 0;
    const columns = problem ? problem.columns.length : 0;
    section("leaderboard", Boolean(problem && problem.board.rows.length));
    section("curves", lines && columns);
    section("parallel", Boolean(problem && problem.parallel));
    section("paths", Boolean(problem && problem.paths));
    section("rates", Boolean(problem && problem.rates.length));
    section("seeds", Boolean(problem && problem.seeds.members));
    section("gallery", Boolean(problem));
    for (const name of ["path", "rate", "seed"]) clear(byId(`${name}-figure`));
    if (!problem) return;
    order.column = 0;
    order.falling = false;
    showBoard();
    showLegends();
    showParallel();
    if (columns) {
      options(byId("curve-column"), problem.columns.map((each) => each.title));
      chooseColumn();
    }
    if (problem.paths) {
      options(byId("path-kind"), problem.paths.kinds.map((kind) => kind.title));
      showPaths();
    }
    if (problem.rates.length) showRates();
    if (problem.seeds.members) showSeeds();
    showGallery();
  }

  byId("board-filter").addEventListener("input", filterBoard);
  byId("board-all").addEventListener("change", showBoard);
  byId("curve-column").addEventListener("change", chooseColumn);
  byId("curve-log-x").addEventListener("change", showCurves);
  byId("curve-log-y").addEventListener("change", showCurves);
  byId("path-kind").addEventListener("change", showPaths);
  byId("side-trial").addEventListener("change", () =>
    showSide(problem.lines[Number(byId("side-trial").value)].trial, false));
  window.addEventListener("beforeprint", () => {
    [...drawings.keys()].forEach(draw);
    for (const image of document.images) image.loading = "eager";
  });

  showRun();
  showProblem(problem);
  showOrigin();
  showFactors();
  section("stability", content.stability.length > 0);
  if (content.stability.length) showStability();
  // plotly takes a while to be read, so the tables are painted before it is
  setTimeout(() => {
    document.head.append(make("script", {}, byId("plotly").textContent));
    plotlyTried = true;
    for (const box of drawings.keys()) {
      near.unobserve(box);
      near.observe(box);
    }
  }, 60);
})();
