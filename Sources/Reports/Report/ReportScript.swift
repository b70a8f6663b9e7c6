/// The script of a report, which shows values of charts and heat maps under the pointer. The page works without it.
enum ReportScript {
  static let source = #"""
    "use strict";
    const element = (name, text, style) => {
      const node = document.createElement(name);
      node.textContent = text;
      if (style) node.className = style;
      return node;
    };
    const place = (tip, area, x) => {
      tip.style.display = "block";
      const width = tip.offsetWidth, room = area.clientWidth;
      tip.style.left = Math.max(0, Math.min(room - width, x + 14 + width > room ? x - width - 14 : x + 14)) + "px";
    };
    const nearest = (list, value) => {
      let low = 0, high = list.length - 1;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (list[middle] < value) low = middle; else high = middle;
      }
      return Math.abs(list[low] - value) <= Math.abs(list[high] - value) ? low : high;
    };
    for (const figure of document.querySelectorAll("figure.chart")) {
      const data = JSON.parse(figure.querySelector("script").textContent);
      const area = figure.querySelector(".area"), cursor = area.querySelector(".cursor"), tip = area.querySelector(".tip");
      const all = [...new Set(data.curves.flatMap(curve => curve.x))].sort((a, b) => a - b);
      let index = -1;
      const show = at => {
        index = Math.max(0, Math.min(all.length - 1, at));
        const step = all[index], x = (step - data.from) / (data.to - data.from) * area.clientWidth;
        cursor.style.display = "block";
        cursor.style.left = x + "px";
        tip.replaceChildren(element("div", "step " + step.toLocaleString("en"), "quiet"));
        for (const curve of data.curves) {
          const i = nearest(curve.x, step);
          const gap = curve.x.length > 1 ? (curve.x[curve.x.length - 1] - curve.x[0]) / (curve.x.length - 1) : 1;
          if (Math.abs(curve.x[i] - step) > gap) continue;
          const row = element("div", "");
          row.append(element("i", "", curve.style), element("span", curve.name), element("b", curve.y[i]));
          if (curve.mean) row.append(element("span", "mean " + curve.mean[i], "quiet"));
          tip.append(row);
        }
        place(tip, area, x);
      };
      const hide = () => { cursor.style.display = tip.style.display = "none"; };
      const follow = event => {
        const box = area.getBoundingClientRect();
        show(nearest(all, data.from + (event.clientX - box.left) / box.width * (data.to - data.from)));
      };
      area.addEventListener("pointermove", follow);
      area.addEventListener("pointerdown", follow);
      area.addEventListener("pointerleave", hide);
      area.addEventListener("blur", hide);
      area.addEventListener("keydown", event => {
        const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (move) { show(index < 0 ? (move > 0 ? 0 : all.length - 1) : index + move); event.preventDefault(); }
      });
    }
    // The pixels of a heat map are bytes after the headers of an uncompressed PNG, in blocks of 65,535.
    for (const figure of document.querySelectorAll("figure.map")) {
      const data = JSON.parse(figure.querySelector("script").textContent);
      const tip = figure.querySelector(".tip"), body = figure.querySelector(".heat");
      figure.querySelectorAll("img").forEach((image, group) => {
        const bytes = atob(image.src.split(",")[1]);
        image.addEventListener("pointermove", event => {
          const box = image.getBoundingClientRect(), rows = data.rows[group];
          const column = Math.min(data.columns - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * data.columns)));
          const row = Math.min(rows.length - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * rows.length)));
          const at = row * (data.columns + 1) + 1 + column;
          const byte = bytes.charCodeAt(data.offset + at + 5 * Math.floor(at / 65535));
          const value = (byte / 255 * data.highest).toFixed(2) + (byte === 255 ? " or more" : "");
          tip.replaceChildren(
            element("div", rows[row] + ", step " + data.steps[column].toLocaleString("en"), "quiet"), element("b", value));
          const outer = body.getBoundingClientRect();
          place(tip, body, event.clientX - outer.left);
          tip.style.top = (event.clientY - outer.top + 14) + "px";
        });
        image.addEventListener("pointerleave", () => { tip.style.display = "none"; });
      });
    }
    """#
}
