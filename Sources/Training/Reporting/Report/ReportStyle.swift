/// The style sheet of a report, for light and dark.
enum ReportStyle {
  static let css = """
    :root { --ground: #ffffff; --panel: #f6f8fa; --ink: #1f2328; --soft: #59636e; --line: #d8dee4; --accent: #1668dc; \
    --heat: 214, 62, 36; }
    @media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --panel: #151b23; --ink: #e6edf3; --soft: #9198a1; \
    --line: #2f3742; --accent: #6cb0ff; --heat: 240, 98, 66; } }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", \
    "Helvetica Neue", Arial, sans-serif; }
    header, main { max-width: 1240px; margin: 0 auto; padding: 0 24px; }
    h1 { font-size: 24px; font-weight: 600; margin: 32px 0 0; overflow-wrap: anywhere; }
    h2 { font-size: 18px; font-weight: 600; margin: 40px 0 12px; padding-bottom: 6px; border-bottom: 1px solid var(--line); }
    h3 { font-size: 15px; font-weight: 600; margin: 20px 0 8px; } h4 { font-size: 13px; color: var(--soft); margin: 16px 0 6px; }
    .grid { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); }
    figure { margin: 0; padding: 8px; border: 1px solid var(--line); border-radius: 8px; min-width: 0; }
    figure svg { display: block; width: 100%; height: auto; }
    figure svg text { font-size: 20px; } figure svg .title { font-size: 26px; }
    .map { padding: 14px 16px; } figcaption { font-weight: 600; font-size: 13px; margin-bottom: 8px; }
    .map img { display: block; width: 100%; image-rendering: pixelated; border-radius: 3px; }
    .axis-row { display: flex; justify-content: space-between; font-size: 12px; color: var(--soft); }
    .scale { display: flex; align-items: center; flex-wrap: wrap; gap: 0; font-size: 12px; margin-top: 8px; }
    .scale i { width: 16px; height: 10px; } .scale span { margin-right: 8px; } .scale i + span { margin-left: 8px; }
    .quiet-text { color: var(--soft); }
    .table { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
    table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
    th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
    th { background: var(--panel); font-weight: 600; white-space: nowrap; } tr:last-child td { border-bottom: 0; }
    td { overflow-wrap: anywhere; }
    .samples { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); }
    article { background: var(--panel); border-radius: 8px; padding: 12px 14px; min-width: 0; }
    article pre { margin: 0 0 6px; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.6 ui-monospace, \
    SFMono-Regular, Menlo, Consolas, monospace; } article b { font-weight: 500; } article p { margin: 0; font-size: 13px; }
    .token { background: rgba(var(--heat), calc(var(--p) * 0.55)); border-radius: 3px; padding: 1px; \
    box-shadow: inset 0 -1px 0 var(--line); }
    details { margin-top: 12px; } summary { cursor: pointer; color: var(--accent); margin-bottom: 8px; }
    main { padding-bottom: 64px; }
    """
}
