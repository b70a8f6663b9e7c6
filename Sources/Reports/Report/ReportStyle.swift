/// The style sheet of a report, for light and dark colour schemes, wide screens and phones. Text has a contrast ratio of at
/// least 4.5 to its background.
enum ReportStyle {
  static let css = """
    :root { --ground: #ffffff; --panel: #f6f8fa; --ink: #1f2328; --soft: #59636e; --line: #d8dee4; --rule: #e9ecef; \
    --accent: #0b5fca; --heat: 214, 62, 36; --good: #0f6e3f; --good-ground: #dff5e6; --warn: #7a4b00; \
    --warn-ground: #fff1cc; --bad: #a1180f; --bad-ground: #ffe2df; --c0: #1668dc; --c1: #d4580a; --c2: #0f8a5f; \
    --c3: #a626c4; --c4: #c2255c; --c5: #5c6f00; --c6: #0e7f96; --c7: #7a5230; }
    @media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --panel: #151b23; --ink: #e6edf3; --soft: #b1bac4; \
    --line: #343c47; --rule: #232a33; --accent: #79b8ff; --heat: 240, 98, 66; --good: #6fe3a1; --good-ground: #10331f; \
    --warn: #f5c66a; --warn-ground: #3a2b08; --bad: #ff9d94; --bad-ground: #47150f; --c0: #6cb0ff; --c1: #ff9e57; \
    --c2: #3fcf9a; --c3: #e28bf5; --c4: #ff7fa5; --c5: #c4d34a; --c6: #4fd0e6; --c7: #d6a878; } }
    * { box-sizing: border-box; }
    html { scroll-padding-top: 16px; -webkit-text-size-adjust: 100%; }
    body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, \
    "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
    header, nav, main, footer { max-width: 1180px; margin: 0 auto; padding: 0 24px; }
    .brand { margin: 36px 0 0; color: var(--soft); font-size: 13px; letter-spacing: 0.02em; }
    h1 { font-size: 28px; line-height: 1.2; font-weight: 650; letter-spacing: -0.01em; margin: 4px 0 0; \
    overflow-wrap: break-word; }
    .state { margin: 10px 0 0; color: var(--soft); }
    h2 { font-size: 20px; font-weight: 650; margin: 52px 0 14px; }
    h3 { font-size: 15px; font-weight: 600; margin: 28px 0 10px; overflow-wrap: break-word; }
    nav { margin-top: 20px; } nav a { display: inline-block; color: var(--accent); text-decoration: none; \
    margin-right: 18px; padding: 4px 0; } nav a:hover { text-decoration: underline; }
    footer { color: var(--soft); font-size: 13px; margin-top: 56px; padding-bottom: 40px; }
    .quiet, .unit, .note, .corner { color: var(--soft); }
    .badge { display: inline-block; border-radius: 999px; padding: 1px 10px; font-size: 13px; font-weight: 600; }
    .good { color: var(--good); background: var(--good-ground); } .warn { color: var(--warn); \
    background: var(--warn-ground); } .bad { color: var(--bad); background: var(--bad-ground); }
    .tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 250px), 1fr)); }
    .tile { background: var(--panel); border-radius: 10px; padding: 14px 18px; }
    .tile span, .tile small { display: block; color: var(--soft); font-size: 13px; }
    .tile b { display: block; font-size: 24px; font-weight: 650; font-variant-numeric: tabular-nums; margin: 2px 0; }
    .facts { display: grid; gap: 10px 24px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 160px), 1fr)); \
    margin: 20px 0 0; } .facts dt { color: var(--soft); font-size: 13px; } .facts dd { margin: 0; \
    overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
    .charts { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 360px), 1fr)); }
    figure { margin: 0; padding: 14px 16px 12px; border: 1px solid var(--line); border-radius: 10px; min-width: 0; }
    figcaption { font-weight: 600; font-size: 14px; } .unit { font-weight: 400; font-size: 13px; margin-left: 4px; }
    .legend { display: flex; flex-wrap: wrap; gap: 0 14px; font-size: 13px; color: var(--soft); margin: 2px 0 10px; }
    .legend span { min-width: 0; overflow-wrap: anywhere; } .legend b { color: var(--ink); font-weight: 600; \
    font-variant-numeric: tabular-nums; }
    .legend i, .tip i { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 6px; }
    .plot { display: grid; grid-template-columns: auto minmax(0, 1fr); column-gap: 8px; padding-right: 12px; }
    .rows { position: relative; font-size: 12px; color: var(--soft); font-variant-numeric: tabular-nums; \
    text-align: right; min-width: 26px; } .rows span { position: absolute; right: 0; transform: translateY(50%); \
    line-height: 1; white-space: nowrap; } .rows .sizer { position: static; visibility: hidden; transform: none; }
    .area { position: relative; height: 180px; border-bottom: 1px solid var(--soft); touch-action: pan-y; \
    outline-offset: 2px; } .area svg { display: block; width: 100%; height: 100%; overflow: visible; }
    .area path { fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-linecap: round; }
    .area .rule { stroke: var(--rule); } .area .bold { stroke-width: 2; } .area .faint { stroke-width: 1; \
    stroke-opacity: 0.35; } .area .dashed { stroke-dasharray: 5 4; }
    path.c0 { stroke: var(--c0); } path.c1 { stroke: var(--c1); } path.c2 { stroke: var(--c2); } \
    path.c3 { stroke: var(--c3); } path.c4 { stroke: var(--c4); } path.c5 { stroke: var(--c5); } \
    path.c6 { stroke: var(--c6); } path.c7 { stroke: var(--c7); }
    i.c0 { background: var(--c0); } i.c1 { background: var(--c1); } i.c2 { background: var(--c2); } \
    i.c3 { background: var(--c3); } i.c4 { background: var(--c4); } i.c5 { background: var(--c5); } \
    i.c6 { background: var(--c6); } i.c7 { background: var(--c7); } i.dashed { border-radius: 2px; }
    .corner { font-size: 12px; text-align: right; padding: 5px 4px 0 0; line-height: 1.2; }
    .columns { position: relative; height: 20px; font-size: 12px; color: var(--soft); line-height: 1.2; \
    font-variant-numeric: tabular-nums; } .columns span { position: absolute; top: 5px; transform: translateX(-50%); \
    white-space: nowrap; }
    .cursor { display: none; position: absolute; top: 0; bottom: 0; width: 1px; background: var(--soft); \
    pointer-events: none; }
    .tip { display: none; position: absolute; top: 0; z-index: 1; max-width: 100%; padding: 6px 10px; font-size: 12px; \
    line-height: 1.5; background: var(--ground); border: 1px solid var(--line); border-radius: 8px; \
    box-shadow: 0 4px 16px rgba(0, 0, 0, 0.16); pointer-events: none; font-variant-numeric: tabular-nums; }
    .tip b { margin: 0 6px; font-weight: 600; } .tip div { overflow-wrap: anywhere; }
    .maps { align-items: start; } .map .unit { display: block; margin: 0; }
    .heat { position: relative; display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 3px 8px; \
    margin-top: 10px; } .heat img { display: block; width: 100%; image-rendering: pixelated; border-radius: 2px; }
    .heat .group { grid-column: 1 / -1; font-size: 12px; color: var(--soft); margin-top: 5px; line-height: 1.3; }
    .names { position: relative; width: 76px; font-size: 12px; color: var(--soft); } .names span { position: absolute; \
    right: 0; line-height: 18px; white-space: nowrap; }
    .ends { display: flex; justify-content: space-between; font-size: 12px; color: var(--soft); padding-top: 2px; }
    .heat .corner { padding: 2px 0 0; }
    .scale { display: flex; align-items: center; font-size: 12px; margin-top: 8px; color: var(--soft); }
    .scale i { width: 16px; height: 10px; } .scale span { margin: 0 8px; } .scale span:first-child { margin-left: 0; }
    .table { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; }
    table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
    th, td { text-align: left; padding: 7px 14px; border-bottom: 1px solid var(--rule); vertical-align: top; }
    th { background: var(--panel); font-weight: 600; white-space: nowrap; } tr:last-child td { border-bottom: 0; }
    td { min-width: 9ch; overflow-wrap: break-word; } .keys td:first-child { white-space: nowrap; }
    .keys td:nth-child(n+2) { max-width: 44ch; } .figures th:nth-child(n+2), .figures td:nth-child(n+2) { \
    text-align: right; } .facts-table td:first-child { color: var(--soft); }
    .samples { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)); \
    align-items: start; }
    article { border: 1px solid var(--line); border-radius: 10px; overflow: hidden; min-width: 0; }
    .part { padding: 8px 14px 10px; border-top: 1px solid var(--rule); border-left: 3px solid transparent; }
    .part > span { display: flex; justify-content: space-between; font-size: 12px; color: var(--soft); } \
    .part em { font-style: normal; font-variant-numeric: tabular-nums; }
    .prompt { background: var(--panel); border-top: 0; border-left-color: var(--soft); }
    .completion { border-left-color: var(--c0); } .answer { border-left-color: var(--good); }
    pre { margin: 2px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 320px; overflow-y: auto; \
    font: 13px/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
    .token { color: var(--ink); background: rgba(var(--heat), calc(var(--p) * 0.5)); border-radius: 3px; padding: 1px; \
    box-shadow: inset 0 -1px 0 var(--line); }
    details { margin-top: 14px; } summary { cursor: pointer; color: var(--accent); margin-bottom: 8px; }
    @media (max-width: 560px) { header, nav, main, footer { padding-left: 16px; padding-right: 16px; } \
    h1 { font-size: 23px; } .brand { margin-top: 22px; } h2 { margin-top: 40px; } th, td { padding: 7px 10px; } \
    figure { padding: 12px 12px 10px; } .area { height: 170px; } }
    @media print { nav { display: none; } figure, article, .tile { break-inside: avoid; } }
    """
}
