// Draws each figure in the colours of the reader's scheme, and again when that changes.
"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const touch = matchMedia("(pointer: coarse)");
const inTheDark = JSON.parse(document.getElementById("dark").textContent);
const config = {
  responsive: true,
  displayModeBar: false, // it would cover the legend
};

function draw() {
  for (const place of document.querySelectorAll(".plot")) {
    let text = document.getElementById(place.dataset.figure).textContent;
    if (dark.matches) {
      text = text.replace(/#[0-9a-f]{6}/g, (color) => inTheDark[color] ?? color);
    }
    const figure = JSON.parse(text);
    // Dragging a finger over a figure scrolls the page.
    if (touch.matches) figure.layout.dragmode = false;
    Plotly.react(place, figure.data, figure.layout, config);
  }
}

// A click on a network's row shows its points in the figures, and a click on a point its row.
function choose(network) {
  for (const row of document.querySelectorAll("tr[data-network]")) {
    row.classList.toggle("chosen", row.dataset.network === network);
  }
  for (const place of document.querySelectorAll(".plot")) {
    const points = place.data.flatMap((trace, curveNumber) =>
      trace.visible === "legendonly" ? [] :
      (trace.customdata ?? []).flatMap((key, pointNumber) =>
        key === network ? [{ curveNumber, pointNumber }] : []));
    if (points.length) Plotly.Fx.hover(place, points.slice(0, 1));
  }
}

function link() {
  for (const place of document.querySelectorAll(".plot")) {
    place.on("plotly_click", (event) => choose(event.points[0].customdata));
  }
  for (const row of document.querySelectorAll("tr[data-network]")) {
    row.addEventListener("click", () => choose(row.dataset.network));
    row.addEventListener("keydown", (event) => {
      if (event.key === "Enter") choose(row.dataset.network);
    });
  }
}

// A table that is wider than the page says so, and shows at its edge where it is cut.
function fit() {
  for (const table of document.querySelectorAll(".scroll")) {
    const hidden = table.scrollWidth - table.clientWidth;
    table.parentElement.classList.toggle("wide", hidden > 1);
    table.classList.toggle("cut", hidden - table.scrollLeft > 1);
  }
}

draw();
link();
fit();
addEventListener("resize", fit);
for (const table of document.querySelectorAll(".scroll")) table.addEventListener("scroll", fit);
dark.addEventListener("change", draw);
