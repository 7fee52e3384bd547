"use strict";
// Draws the plots of the page from its data. Every line has a colour and a dash of its own.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 5], [5, 2], [2, 6], [16, 3, 4, 3]];
  const HEIGHT = 240;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const drawn = [];

  const digits = (v) => v.toLocaleString("en-US", { maximumSignificantDigits: v >= 1000 ? 6 : 3 });
  const time = (ms) => ms === 0 ? "0 s" : ms >= 1000 ? digits(ms / 1000) + " s" : ms >= 1 ? digits(ms) + " ms" : digits(ms * 1000) + " µs";
  const bytes = (v) => v >= 1e9 ? digits(v / 1e9) + " GB" : v >= 1e6 ? digits(v / 1e6) + " MB" : v > 0 ? digits(v / 1e3) + " kB" : "0";
  // A span of the fleet's time.
  const span = (s) => {
    const [size, name] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => s >= size) || [1, "s"];
    return digits(s / size) + " " + name;
  };
  const FORMATS = {
    per_second: (v) => digits(v) + "/s",
    count: digits,
    milliseconds: time,
    cores: (v) => digits(v) + (v === 1 ? " core" : " cores"),
    bytes,
    fleet_seconds: span,
    share: (v) => digits(v * 100) + " %",
  };
  const short = (v) => v >= 1e6 ? digits(v / 1e6) + " M" : v >= 1e4 ? digits(v / 1e3) + " k" : digits(v);
  const TICKS = { per_second: (v) => short(v) + "/s", count: short, milliseconds: time, cores: digits, bytes, fleet_seconds: span, share: FORMATS.share };
  const SPANS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 2 * 86400, 5 * 86400, 10 * 86400];

  // 10 on the axis 1/(1-q) is 90 %, 100 is 99 %.
  const percentile = (inverse) => {
    const percent = 100 - 100 / inverse;
    const decimals = inverse < 10 ? 0 : Math.max(0, Math.ceil(Math.log10(inverse) - 2 + 1e-9));
    return percent.toFixed(inverse > 1 && inverse < 10 ? 1 : decimals).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "") + " %";
  };

  // Moments of the fleet's clock.
  const utc = (options) => {
    const format = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
    return (s) => format.format(new Date(s * 1000));
  };
  const day = utc({ day: "numeric", month: "short" });
  const year = utc({ year: "numeric" });
  const clock = utc({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const moment = (s) => day(s) + " " + year(s) + " " + clock(s).replace(/:00$/, "") + " UTC";
  // Below the first label, and where it changes, stands what is too long for all of them.
  const moments = (splits, step) => {
    const [fine, coarse] = step < 86400 ? [(s) => clock(s).replace(/:00$/, ""), day] : [day, year];
    return splits.map((s, i) => fine(s) + (i === 0 || coarse(s) !== coarse(splits[i - 1]) ? "\n" + coarse(s) : ""));
  };

  // Between labels; bins are never shorter than a second.
  const DAY = 86400;
  const STEPS = [1, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200]
    .concat([1, 2, 4, 7, 14, 28, 56, 84, 168, 365, 730, 1825, 3650].map((days) => days * DAY));

  // For every axis: the column of its places, its label, how a place is told.
  const AXES = {
    time: { column: "start_s", label: "at", tell: (v) => digits(v) + " s" },
    percentile: { column: "inverse", label: "percentile", tell: (v) => percentile(v) },
    expiry: { column: "expires_from_s", label: "expire from", tell: moment },
    // Since each of them began.
    through: { column: "since_ms", label: "after", tell: time },
    recovered: { column: "since_ms", label: "after", tell: time },
  };

  // Areas on top of each other, of the series that are shown: their upper edges, and which lies on which.
  const stack = (values, shown) => {
    const sum = values[0].map(() => 0);
    const edges = values.map((own, i) => (shown(i) ? own.map((v, at) => (sum[at] += v ?? 0)) : own));
    const bands = [];
    values.forEach((_, below) => {
      const above = values.findIndex((_, i) => i > below && shown(i));
      if (shown(below) && above > 0) bands.push({ series: [above + 1, below + 1] });
    });
    return { edges, bands };
  };

  // After a series was hidden or shown.
  const restack = (chart, own) => {
    const { edges, bands } = stack(own, (i) => chart.series[i + 1].show);
    chart.delBand(null);
    bands.forEach((band) => chart.addBand(band));
    chart.setData([chart.data[0], ...edges]);
  };

  // Where a value has none beside it, so that no line shows it. Moments that only another line has do not count.
  const alone = (values) => {
    const known = [...values.keys()].filter((at) => values[at] !== undefined);
    const nothing = (at) => (values[at] ?? null) === null;
    return known.filter((at, i) => !nothing(at) && nothing(known[i - 1]) && nothing(known[i + 1]));
  };

  const decade = (v) => Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9;

  const axis = (more) => Object.assign({
    stroke: () => color("soft"),
    grid: { stroke: () => color("line"), width: 1 },
    ticks: { stroke: () => color("line"), width: 1, size: 5 },
    font: "12px system-ui, sans-serif",
  }, more);

  // The lines of a plot; after them, for those that stand for several runs, the edges of the band in which the runs lie.
  const lines = (plot) => [
    ...plot.series.map((series, i) => ({ ...series, tone: i })),
    ...plot.series.flatMap((series, i) => (series.band || []).map((column) => ({ ...series, column, tone: i, edge: true }))),
  ];

  // `own` are the values of each line as they are, not as they lie on each other.
  const options = (plot, drawnLines, own, width) => {
    const edgesOf = (i) => drawnLines.flatMap((line, j) => (line.edge && line.tone === i - 1 ? [j + 1] : []));
    const { label, tell } = AXES[plot.axis];
    const stacked = plot.shape === "stacked";
    const area = plot.shape !== "lines";
    const value = FORMATS[plot.unit];
    const tick = TICKS[plot.unit];
    const onLog = (splits) => splits.map((v) => (v !== null && decade(v) ? v : null));
    return {
      width, height: HEIGHT,
      padding: [null, 28, null, null],
      scales: {
        x: { time: plot.axis === "expiry", ...(plot.axis === "percentile" ? { distr: 3, log: 10 } : {}) },
        y: plot.log ? { distr: 3, log: 10 } : plot.unit === "share" ? { range: [0, 1] } : { range: (u, min, max) => [0, max > 0 ? max * 1.08 : 1] },
      },
      cursor: {
        sync: plot.axis === "time" ? { key: "stage-" + plot.stage } : undefined,
        y: false,
        points: { size: (u, i) => (i > plot.series.length ? 0 : 8), fill: (u, i) => color("c" + ((i - 1) % 8)) },
      },
      bands: stacked ? stack(own, () => true).bands : plot.series.flatMap((series, i) => (series.band ? [{ series: edgesOf(i + 1).reverse(), fill: () => color("c" + (i % 8)) + "2b" }] : [])),
      hooks: {
        setSeries: [(u, i, { show }) => {
          if (show != null && i <= plot.series.length) edgesOf(i).forEach((edge) => u.setSeries(edge, { show }));
          if (show != null && stacked) restack(u, own);
        }],
      },
      legend: {
        markers: {
          width: 2,
          fill: () => "transparent",
          stroke: (u, i) => color("c" + ((i - 1) % 8)),
          dash: (u, i) => (i === 1 ? "solid" : i % 2 ? "dotted" : "dashed"),
        },
      },
      axes: [
        axis({
          time: { values: (u, splits) => splits.map(tell), space: 60 },
          percentile: { values: (u, splits) => splits.map((v) => (v === null ? null : tell(v))), filter: (u, s) => onLog(s), space: 50 },
          through: { values: (u, splits) => splits.map(tell), space: 70 },
          recovered: { values: (u, splits) => splits.map(tell), space: 70 },
          expiry: { values: (u, splits, i, space, step) => moments(splits, step), incrs: STEPS, space: 76, size: 44 },
        }[plot.axis]),
        axis({
          size: 64,
          values: (u, splits) => splits.map((v) => (v === null ? null : tick(v))),
          ...(plot.log ? { filter: (u, s) => onLog(s) } : {}),
          ...(plot.unit === "fleet_seconds" ? { incrs: SPANS } : {}),
        }),
      ],
      series: [
        {
          label,
          value: (u, v) => (v == null ? "–" : tell(v)),
        },
        ...drawnLines.map((line) => ({
          label: line.name,
          class: line.edge ? "edge" : undefined,
          stroke: () => (line.edge ? "transparent" : color("c" + (line.tone % 8))),
          width: line.edge || plot.shape === "steps" ? 1 : 2,
          dash: DASHES[line.tone % 8],
          fill: area ? () => color("c" + (line.tone % 8)) + "40" : undefined,
          paths: plot.shape === "steps" ? uPlot.paths.stepped({ align: 1 }) : undefined,
          points: line.edge || area ? { show: false } : { fill: () => color("card"), filter: (u, i, all) => (all ? null : alone(u.data[i])) },
          spanGaps: false,
          value: (u, v, i, at) => (at == null || own[i - 1][at] == null ? "–" : value(own[i - 1][at])),
        })),
      ],
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
    };
  };

  for (const plot of data.plots) {
    const place = document.getElementById(plot.id);
    const drawnLines = lines(plot);
    // Lines of different tables need not have the same points.
    const tables = drawnLines.map((line) => {
      const columns = (plot.stage === null ? data.run : data.stages[plot.stage])[line.table || plot.axis];
      return [columns[AXES[plot.axis].column], columns[line.column]];
    });
    const [x, ...own] = uPlot.join(tables);
    const values = plot.shape === "stacked" ? stack(own, () => true).edges : own;
    const chart = new uPlot(options(plot, drawnLines, own, place.clientWidth), [x, ...values], place);
    drawn.push(chart);
    new ResizeObserver(() => {
      if (place.clientWidth > 0 && place.clientWidth !== chart.width) {
        chart.setSize({ width: place.clientWidth, height: HEIGHT });
      }
    }).observe(place);
  }

  // Legends and lines take the colours of the theme; paper is always light.
  const redraw = () => {
    for (const chart of drawn) {
      chart.root.querySelectorAll(".u-legend .u-marker").forEach((marker, i, all) => {
        marker.style.borderColor = color("c" + ((all.length > chart.series.length - 1 ? i - 1 : i) % 8));
      });
      chart.redraw(false, true);
    }
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  const details = document.querySelectorAll("details");
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("print");
    details.forEach((one) => { one.open = true; });
    redraw();
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("print");
    details.forEach((one) => { one.open = false; });
    redraw();
  });
})();
