"use strict";
// The width of A4 between the margins of report.css, in CSS pixels.
const PAPER = 690;
const figures = JSON.parse(document.getElementById("figures").textContent);
const config = { displayModeBar: false, responsive: true };
for (const [key, { data, layout }] of Object.entries(figures)) Plotly.newPlot(key, data, layout, config);
const each = (change) => Object.keys(figures).forEach((key) => Plotly.relayout(key, change));
addEventListener("beforeprint", () => each({ width: PAPER, autosize: false }));
addEventListener("afterprint", () => each({ width: null, autosize: true }));
document.documentElement.dataset.plots = "drawn";
