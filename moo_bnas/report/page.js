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

draw();
dark.addEventListener("change", draw);
