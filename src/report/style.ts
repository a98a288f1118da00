/** The page's style sheet: light, readable, no external fonts. */
export const STYLE = `
:root { --ink: #1c2733; --soft: #5b6875; --line: #dde3e9; --paper: #ffffff; --ground: #f4f6f8; --accent: #0072b2;
  --truth: #35d07f; --hit: #ffd43b; --wrong: #ff6b6b; --missed: #ff8bd8; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 'DejaVu Sans', 'Segoe UI', Helvetica, Arial, sans-serif; }
header { background: var(--paper); border-bottom: 1px solid var(--line); padding: 22px 32px 16px; }
header h1 { margin: 0; font-size: 24px; font-weight: 650; }
header p { margin: 4px 0 0; color: var(--soft); }
nav { position: sticky; top: 0; z-index: 5; background: rgba(255, 255, 255, .94); border-bottom: 1px solid var(--line);
  padding: 8px 32px; display: flex; gap: 20px; flex-wrap: wrap; }
nav a { color: var(--accent); text-decoration: none; }
nav a:hover { text-decoration: underline; }
main { max-width: 1360px; margin: 0 auto; padding: 20px 32px 60px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 18px 22px 22px;
  margin: 0 0 20px; scroll-margin-top: 52px; }
h2 { margin: 0 0 10px; font-size: 19px; font-weight: 650; }
h3 { margin: 18px 0 8px; font-size: 15px; font-weight: 650; }
p.note { margin: 4px 0 12px; color: var(--soft); max-width: 95ch; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 12px; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; background: #fbfcfd; }
.card b { display: block; font-size: 23px; font-weight: 650; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 13px; }
.plots { display: flex; flex-wrap: wrap; gap: 18px; align-items: flex-start; }
.plot { flex: 1 1 540px; max-width: 640px; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; background: #fff; position: relative; }
.plot svg { display: block; width: 100%; height: auto; }
.plot svg.over { position: absolute; inset: 0; pointer-events: none; }
table { border-collapse: collapse; font-size: 14px; }
th, td { text-align: left; padding: 5px 12px 5px 6px; border-bottom: 1px solid var(--line); vertical-align: middle; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; }
th.number button { text-align: right; }
thead th { position: sticky; top: 0; background: #f0f3f6; z-index: 1; }
.sortable th, .sortable td { white-space: nowrap; }
th button { all: unset; cursor: pointer; font-weight: 600; width: 100%; }
th button:focus-visible { outline: 2px solid var(--accent); }
th[aria-sort=ascending] button::after { content: ' \\25b2'; color: var(--accent); }
th[aria-sort=descending] button::after { content: ' \\25bc'; color: var(--accent); }
.scroll { max-height: 560px; overflow: auto; border: 1px solid var(--line); border-radius: 8px; }
.scroll table { width: 100%; }
.facts th { font-weight: 600; color: var(--soft); white-space: nowrap; padding-right: 22px; }
.facts td { overflow-wrap: anywhere; }
.tag { display: inline-block; border-radius: 20px; padding: 0 9px; font-size: 12.5px; color: #10202e; white-space: nowrap; }
.tag.hit { background: #c6f0d7; } .tag.false { background: #ffd9d6; } .tag.double, .tag.excluded, .tag.dropped { background: #e4e9ee; }
.tag.missed { background: #ffd9f1; }
.controls { display: flex; flex-wrap: wrap; gap: 14px 40px; align-items: center; margin: 6px 0 14px; }
.controls label { display: flex; align-items: center; gap: 10px; }
.controls input[type=range] { width: 240px; accent-color: var(--accent); }
.controls output { font-variant-numeric: tabular-nums; min-width: 3.2em; font-weight: 600; }
.figures { display: flex; flex-wrap: wrap; gap: 6px 26px; margin: 0 0 14px; font-variant-numeric: tabular-nums; }
.figures span { color: var(--soft); } .figures b { color: var(--ink); }
.tabs { display: flex; gap: 8px; margin: 12px 0; flex-wrap: wrap; }
.tabs button { border: 1px solid var(--line); background: #fff; border-radius: 20px; padding: 4px 14px; font: inherit; cursor: pointer; }
.tabs button[aria-selected=true] { background: var(--accent); border-color: var(--accent); color: #fff; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px; }
.gallery figure { margin: 0; background: #10161c; border-radius: 8px; overflow: hidden; cursor: zoom-in; border: 2px solid transparent; }
.gallery figure:focus-visible { border-color: var(--accent); outline: none; }
.gallery svg { display: block; width: 100%; aspect-ratio: 1; }
.gallery.whole { grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); }
.gallery.whole svg { aspect-ratio: 11 / 8; }
.gallery figcaption { color: #dfe6ec; font-size: 12px; padding: 4px 8px 6px; line-height: 1.35; overflow-wrap: anywhere; }
.empty { color: var(--soft); padding: 10px 0; }
.more { margin: 12px 0 0; }
.more button { font: inherit; border: 1px solid var(--line); background: #fff; border-radius: 8px; padding: 5px 14px; cursor: pointer; }
.legend { display: flex; gap: 20px; flex-wrap: wrap; color: var(--soft); font-size: 13px; margin: 6px 0; }
.legend i { display: inline-block; width: 16px; height: 12px; border: 2px solid; margin-right: 6px; vertical-align: -1px; border-radius: 2px; background: #10161c; }
.b-truth { stroke: var(--truth); } .b-hit { stroke: var(--hit); } .b-wrong { stroke: var(--wrong); } .b-missed { stroke: var(--missed); } .b-neither { stroke: #9fb3c8; }
rect.box { fill: none; vector-effect: non-scaling-stroke; stroke-width: 1.6px; }
rect.b-missed { stroke-dasharray: 5 3; }
dialog { border: none; border-radius: 10px; padding: 0; background: #10161c; color: #e8edf2; max-width: 96vw; }
dialog::backdrop { background: rgba(12, 18, 24, .75); }
dialog svg { display: block; width: min(1056px, 94vw, calc((100vh - 110px) * var(--aspect, 1.375))); height: auto; }
dialog .bar { display: flex; gap: 14px; align-items: center; padding: 8px 14px; }
dialog .bar span { flex: 1; }
dialog button { font: inherit; color: inherit; background: #26313b; border: none; border-radius: 6px; padding: 4px 12px; cursor: pointer; }
td svg.thumb { display: block; width: 64px; height: 64px; background: #10161c; border-radius: 4px; cursor: zoom-in; }
details { margin-top: 12px; } summary { cursor: pointer; color: var(--accent); }
pre { background: #f0f3f6; border-radius: 8px; padding: 12px; overflow: auto; font-size: 12.5px; max-height: 420px; }
ul.warnings { margin: 0; padding-left: 20px; color: #8a4b00; }
footer { color: var(--soft); text-align: center; padding: 0 20px 30px; font-size: 13px; }
@media print { nav, .controls, .tabs, .more { display: none; } section { break-inside: avoid; } }
`
