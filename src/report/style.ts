/** The page's style sheet: light or dark as the reader's system is, from 390 px on, and for paper; no external fonts. */
export const STYLE = `
:root { --ink: #1c2733; --soft: #5b6875; --line: #dde3e9; --paper: #ffffff; --ground: #f4f6f8; --accent: #0068a3;
  --raised: #fbfcfd; --head: #f0f3f6; --bar: rgba(255, 255, 255, .94); --on-accent: #ffffff; --warning: #8a4b00;
  --truth: #35d07f; --hit: #ffd43b; --wrong: #ff6b6b; --missed: #ff8bd8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e9ef; --soft: #a3b0bd; --line: #35414d; --paper: #19212a; --ground: #10161c; --accent: #6cb8ec;
    --raised: #1e2832; --head: #24303b; --bar: rgba(25, 33, 42, .96); --on-accent: #0b1620; --warning: #f0b465; }
  /* Light charts with their hues kept. */
  .plot svg { filter: invert(.9) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 'DejaVu Sans', 'Segoe UI', Helvetica, Arial, sans-serif; }
header { background: var(--paper); border-bottom: 1px solid var(--line); padding: 22px 32px 16px; }
header h1 { margin: 0; font-size: 24px; font-weight: 650; }
header p { margin: 4px 0 0; color: var(--soft); }
nav { position: sticky; top: 0; z-index: 5; background: var(--bar); border-bottom: 1px solid var(--line);
  padding: 8px 32px; display: flex; gap: 20px; flex-wrap: wrap; }
.skip { position: absolute; left: -9999px; } .skip:focus { left: 8px; top: 8px; z-index: 9; background: var(--paper); padding: 6px 12px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
nav a { color: var(--accent); text-decoration: none; }
nav a:hover { text-decoration: underline; }
main { max-width: 1360px; margin: 0 auto; padding: 20px 32px 60px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 18px 22px 22px;
  margin: 0 0 20px; scroll-margin-top: 52px; }
h2 { margin: 0 0 10px; font-size: 19px; font-weight: 650; }
h3 { margin: 18px 0 8px; font-size: 15px; font-weight: 650; }
p.note { margin: 4px 0 12px; color: var(--soft); max-width: 95ch; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 12px; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; background: var(--raised); }
.card b { display: block; font-size: 23px; font-weight: 650; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 13px; }
.plots { display: flex; flex-wrap: wrap; gap: 18px; align-items: flex-start; }
.plots > * { min-width: 0; max-width: 100%; }
.plot { flex: 1 1 540px; max-width: 640px; margin: 0; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; background: var(--paper); position: relative; }
.plot svg { display: block; width: 100%; height: auto; }
.plot svg.over { position: absolute; inset: 0; pointer-events: none; }
table { border-collapse: collapse; font-size: 14px; }
th, td { text-align: left; padding: 5px 12px 5px 6px; border-bottom: 1px solid var(--line); vertical-align: middle; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; }
th.number button { text-align: right; }
thead th { position: sticky; top: 0; background: var(--head); z-index: 1; }
.sortable th, .sortable td { white-space: nowrap; }
.sortable .name { display: inline-block; width: max-content; max-width: 24ch; white-space: normal; overflow-wrap: anywhere; }
th button { all: unset; cursor: pointer; font-weight: 600; width: 100%; }
th button:focus-visible { outline: 2px solid var(--accent); }
th[aria-sort=ascending] button::after { content: ' \\25b2'; color: var(--accent); }
th[aria-sort=descending] button::after { content: ' \\25bc'; color: var(--accent); }
.scroll { max-height: 560px; overflow: auto; border: 1px solid var(--line); border-radius: 8px; }
.scroll table { width: 100%; }
.facts th { font-weight: 600; color: var(--soft); padding-right: 22px; min-width: 12ch; }
/* Long hashes break; words and figures do not. */
.facts td { overflow-wrap: anywhere; min-width: 17ch; }
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
.tabs button { border: 1px solid var(--line); background: var(--paper); color: inherit; border-radius: 20px; padding: 4px 14px; font: inherit; cursor: pointer; }
.tabs button[aria-selected=true] { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px; }
.gallery figure { margin: 0; background: #10161c; border-radius: 8px; overflow: hidden; }
button.picture { all: unset; display: block; cursor: zoom-in; }
button.picture:focus-visible { outline: 3px solid var(--accent); outline-offset: -3px; }
.gallery svg { display: block; width: 100%; aspect-ratio: 1; }
.gallery.whole { grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); }
.gallery.whole svg { aspect-ratio: 11 / 8; }
.gallery figcaption { color: #dfe6ec; font-size: 12px; padding: 4px 8px 6px; line-height: 1.35; overflow-wrap: anywhere; }
.empty { color: var(--soft); padding: 10px 0; }
.more { margin: 12px 0 0; }
.more button { font: inherit; border: 1px solid var(--line); background: var(--paper); color: inherit; border-radius: 8px; padding: 5px 14px; cursor: pointer; }
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
td button.picture { width: 64px; }
td svg.thumb { display: block; width: 64px; height: 64px; background: #10161c; border-radius: 4px; }
details { margin-top: 12px; } summary { cursor: pointer; color: var(--accent); }
pre { background: var(--head); border-radius: 8px; padding: 12px; overflow: auto; font-size: 12.5px; max-height: 420px; }
ul.warnings { margin: 0; padding-left: 20px; color: var(--warning); overflow-wrap: anywhere; }
footer { color: var(--soft); text-align: center; padding: 0 20px 30px; font-size: 13px; }
@media (max-width: 700px) {
  header, nav { padding-left: 16px; padding-right: 16px; }
  main { padding: 12px 8px 40px; }
  section { padding: 14px 12px 16px; scroll-margin-top: 90px; }
  .plot { flex-basis: 100%; }
  .controls label { flex-wrap: wrap; }
  .controls input[type=range] { width: min(240px, 60vw); }
  .gallery.whole { grid-template-columns: 1fr; }
}
@media print {
  :root { --ink: #000000; --soft: #444444; --line: #bbbbbb; --paper: #ffffff; --ground: #ffffff; --raised: #ffffff; --head: #eeeeee; --accent: #00507d; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  nav, .skip, .controls, .tabs, .more, summary { display: none; }
  main { max-width: none; padding: 0; }
  section { border: none; padding: 10px 0; }
  .plot svg { filter: none; }
  .scroll, pre { max-height: none; overflow: visible; border: none; }
  table { font-size: 11px; }
  thead { display: table-header-group; } thead th { position: static; }
  /* Whole tables, rows below the slider's confidence too. */
  .sortable th, .sortable td { white-space: normal; padding: 3px 6px 3px 3px; overflow-wrap: break-word; }
  tbody tr[hidden] { display: table-row; }
  tr, figure, .card, h2, h3 { break-inside: avoid; } h2, h3 { break-after: avoid; }
}
`
