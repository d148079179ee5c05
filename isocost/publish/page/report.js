"use strict";
// Draws the charts of the page: one specification a figure and choice, one configuration a colour mode.
(function () {
  const page = JSON.parse(document.getElementById("isocost-data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const selectors = { axis: document.getElementById("cost-axis"), strategy: document.getElementById("strategy") };
  const drawn = new Map();

  function configuration(width) {
    const config = structuredClone(page.config[dark.matches ? "dark" : "light"]);
    if (width < 560) {
      // A telephone has room for two entries of a legend side by side.
      config.legend.columns = 2;
      config.legend.labelFontSize = 11;
      config.legend.labelLimit = 115;
      config.style.note.fontSize = config.style.halo.fontSize = 10;
      config.padding = { left: 0, top: 8, right: 10, bottom: 4 };
    }
    return config;
  }

  function draw(element) {
    const variants = page.charts[element.id];
    if (!variants) return;
    const select = element.id.startsWith("frontier") ? selectors.axis : selectors.strategy;
    const chosen = select ? select.value : "";
    const figure = element.closest("figure");
    figure.hidden = !(chosen in variants);
    if (figure.hidden) return;
    const width = element.clientWidth;
    const key = [chosen, dark.matches, width].join();
    if (!width || drawn.get(element) === key) return;
    drawn.set(element, key);
    const specification = { ...variants[chosen], width: "container", autosize: { type: "fit-x", contains: "padding" } };
    vegaEmbed(element, specification, {
      mode: "vega-lite",
      renderer: "svg",
      config: configuration(width),
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: "isocost-" + element.id,
    }).then(() => {
      // The library does not name its menu; of the picture the figure's label and the tables tell, not hundreds of nameless marks.
      const picture = element.querySelector("svg.marks"), menu = element.querySelector("summary");
      if (picture) picture.setAttribute("aria-hidden", "true");
      if (menu) { menu.setAttribute("aria-label", "Save this figure"); menu.querySelector("svg").setAttribute("aria-hidden", "true"); }
    }).catch((error) => { element.textContent = "This figure could not be drawn: " + error.message; });
  }

  function drawAll() {
    for (const [name, select] of Object.entries(selectors)) {
      if (!select) continue;
      document.querySelectorAll("[data-" + name + "]").forEach((block) => { block.hidden = block.dataset[name] !== select.value; });
    }
    document.querySelectorAll(".chart").forEach(draw);
    // What scrolls has to be reached by keyboard, and only that.
    document.querySelectorAll(".scroll").forEach((region) => {
      if (region.scrollWidth > region.clientWidth + 1) region.tabIndex = 0; else region.removeAttribute("tabindex");
    });
  }

  let timer = 0;
  window.addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(drawAll, 150); });
  dark.addEventListener("change", drawAll);
  Object.values(selectors).forEach((select) => { if (select) select.addEventListener("change", drawAll); });
  drawAll();
})();
