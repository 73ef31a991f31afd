namespace OnnxLlm.Training.Report;

/// <summary>The style sheet of the report, part of the page.</summary>
internal static class ReportStyle
{
    public const string Sheet = """
        :root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6878; --line: #e3e7ee; --page: #f7f8fa; --card: #fff; --a: #2563c9; --b: #c2570c; --mark: #b3261e; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa5b5; --line: #2b323d; --page: #12161c; --card: #1a2029; --a: #7aaeff; --b: #ffab6b; --mark: #ff8a80; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 1180px; padding: 28px 20px 60px; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
        h1 { margin: 0; font-size: 26px; } h2 { font-size: 17px; margin: 0 0 10px; } header p { margin: 2px 0 20px; color: var(--soft); }
        section { margin-bottom: 18px; } section:not(.tiles):not(.charts) { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px 18px; }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 12px; }
        .tiles div, figure { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; }
        .tiles b { display: block; font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; } small, .tick { color: var(--soft); font-size: 12px; }
        .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr)); gap: 14px; } figure { margin: 0; } svg { display: block; width: 100%; height: auto; }
        figcaption { font-weight: 600; display: flex; justify-content: space-between; gap: 12px; flex-wrap: wrap; } .legend { font-weight: 400; color: var(--soft); font-size: 12px; }
        .legend i { display: inline-block; width: 14px; height: 3px; margin: 0 5px 3px 12px; background: currentColor; } i.a { color: var(--a); } i.b { color: var(--b); }
        .grid { stroke: var(--line); } .tick { fill: var(--soft); } polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
        polyline.a { stroke: var(--a); } polyline.b { stroke: var(--b); } circle.a { fill: var(--a); } circle.b { fill: var(--b); } .faint { opacity: .35; } polyline.faint { stroke-width: 1; } .mark { fill: var(--mark); }
        .scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13.5px; }
        th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; } th { color: var(--soft); font-weight: 500; white-space: nowrap; }
        td:not(:last-child) { white-space: nowrap; } td:last-child { overflow-wrap: anywhere; min-width: 9ch; } .scroll + details { margin-top: 10px; } summary { cursor: pointer; color: var(--soft); } details[open] summary { margin-bottom: 8px; } blockquote { margin: 0 0 12px; padding-left: 14px; border-left: 3px solid var(--line); } blockquote p { margin: 2px 0; white-space: pre-wrap; }
        """;
}
