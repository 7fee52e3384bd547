"use strict";
// Draws the plots of the page from its data. Every line has a colour and a dash of its own.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 5], [5, 2], [2, 6], [16, 3, 4, 3]];
  const HEIGHT = 240;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const drawn = [];

  const digits = (v) => v.toLocaleString("en-US", { maximumSignificantDigits: v >= 1000 ? 6 : 3 });
  const time = (ms) => ms >= 1000 ? digits(ms / 1000) + " s" : ms >= 1 ? digits(ms) + " ms" : digits(ms * 1000) + " µs";
  const bytes = (v) => v >= 1e9 ? digits(v / 1e9) + " GB" : v >= 1e6 ? digits(v / 1e6) + " MB" : v > 0 ? digits(v / 1e3) + " kB" : "0";
  const FORMATS = {
    per_second: (v) => digits(v) + "/s",
    count: digits,
    milliseconds: time,
    cores: (v) => digits(v) + (v === 1 ? " core" : " cores"),
    bytes,
  };
  const short = (v) => v >= 1e6 ? digits(v / 1e6) + " M" : v >= 1e4 ? digits(v / 1e3) + " k" : digits(v);
  const TICKS = { per_second: (v) => short(v) + "/s", count: short, milliseconds: time, cores: digits, bytes };

  // 10 on the axis 1/(1-q) is 90 %, 100 is 99 %.
  const percentile = (inverse) => {
    const percent = 100 - 100 / inverse;
    const decimals = inverse < 10 ? 0 : Math.max(0, Math.ceil(Math.log10(inverse) - 2 + 1e-9));
    return percent.toFixed(inverse > 1 && inverse < 10 ? 1 : decimals).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "") + " %";
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

  const options = (plot, drawnLines, width) => {
    const edgesOf = (i) => drawnLines.flatMap((line, j) => (line.edge && line.tone === i - 1 ? [j + 1] : []));
    const overTime = plot.axis === "time";
    const value = FORMATS[plot.unit];
    const tick = TICKS[plot.unit];
    const onLog = (splits) => splits.map((v) => (v !== null && decade(v) ? v : null));
    return {
      width, height: HEIGHT,
      padding: [null, 28, null, null],
      scales: {
        x: overTime ? { time: false } : { time: false, distr: 3, log: 10 },
        y: plot.log ? { distr: 3, log: 10 } : { range: (u, min, max) => [0, max > 0 ? max * 1.08 : 1] },
      },
      cursor: {
        sync: overTime ? { key: "stage-" + plot.stage } : undefined,
        y: false,
        points: { size: (u, i) => (i > plot.series.length ? 0 : 8), fill: (u, i) => color("c" + ((i - 1) % 8)) },
      },
      bands: plot.series.flatMap((series, i) => (series.band ? [{ series: edgesOf(i + 1).reverse(), fill: () => color("c" + (i % 8)) + "2b" }] : [])),
      hooks: {
        setSeries: [(u, i, { show }) => {
          if (show != null && i <= plot.series.length) edgesOf(i).forEach((edge) => u.setSeries(edge, { show }));
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
        axis(overTime
          ? { values: (u, splits) => splits.map((v) => digits(v) + " s"), space: 60 }
          : { values: (u, splits) => splits.map((v) => (v === null ? null : percentile(v))), filter: (u, s) => onLog(s), space: 50 }),
        axis({
          size: 64,
          values: (u, splits) => splits.map((v) => (v === null ? null : tick(v))),
          ...(plot.log ? { filter: (u, s) => onLog(s) } : {}),
        }),
      ],
      series: [
        {
          label: overTime ? "at" : "percentile",
          value: (u, v) => (v == null ? "–" : overTime ? digits(v) + " s" : percentile(v)),
        },
        ...drawnLines.map((line) => ({
          label: line.name,
          class: line.edge ? "edge" : undefined,
          stroke: () => (line.edge ? "transparent" : color("c" + (line.tone % 8))),
          width: line.edge ? 1 : 2,
          dash: DASHES[line.tone % 8],
          points: line.edge ? { show: false } : { fill: () => color("card") },
          spanGaps: false,
          value: (u, v) => (v == null ? "–" : value(v)),
        })),
      ],
    };
  };

  for (const plot of data.plots) {
    const place = document.getElementById(plot.id);
    const drawnLines = lines(plot);
    // Lines of different tables need not have the same points.
    const tables = drawnLines.map((line) => {
      const columns = (plot.stage === null ? data.run : data.stages[plot.stage])[line.table || plot.axis];
      return [columns[plot.axis === "time" ? "start_s" : "inverse"], columns[line.column]];
    });
    const chart = new uPlot(options(plot, drawnLines, place.clientWidth), uPlot.join(tables), place);
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
