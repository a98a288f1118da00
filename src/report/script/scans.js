// @ts-check
// The scan level: the confidence below which nodules are hidden, and its place on the FROC curve.

const scanConfidence = /** @type {HTMLInputElement | null} */ (document.getElementById('scan-confidence'))
if (scanConfidence) {
  const rows = [
    .../** @type {NodeListOf<HTMLTableRowElement>} */ (
      document.querySelectorAll('#nodules tbody tr[data-confidence]')
    ),
  ]
  const update = () => {
    const c = Number(scanConfidence.value)
    inputOf('scan-confidence-value').value = c.toFixed(2)
    let visible = 0
    for (const row of rows) {
      row.hidden = Number(row.dataset['confidence']) < c
      if (!row.hidden) visible++
    }
    byId('scan-shown').textContent = String(visible)
    if (!data.froc) return
    const [first] = data.froc.points
    /** @type {{ falsePositivesPerScan: number, sensitivity: number | null }} */
    let point = { falsePositivesPerScan: 0, sensitivity: first?.sensitivity === null ? null : 0 }
    for (const candidate of data.froc.points)
      if (candidate.threshold !== null && candidate.threshold >= c) point = candidate
    const { falsePositivesPerScan, sensitivity } = point
    byId('scan-fps').textContent = falsePositivesPerScan.toFixed(2)
    byId('scan-sensitivity').textContent = sensitivity === null ? '-' : ratio(sensitivity)
    // Without true nodules there is no curve to stand on.
    if (sensitivity === null) return
    const { plot } = data.froc
    const over = byId('froc-over')
    over.replaceChildren()
    // The axis is log2 from 1/8 to 8; a point beyond stands on its edge.
    const along = (Math.log2(Math.min(8, Math.max(1 / 8, falsePositivesPerScan))) + 3) / 6
    make(
      'circle',
      {
        cx: plot.left + along * plot.width,
        cy: plot.top + (1 - sensitivity) * plot.height,
        r: 7,
        fill: '#e69f00',
        stroke: '#1c2733',
        'stroke-width': 1.5,
      },
      over,
    )
  }
  scanConfidence.addEventListener('input', update)
  update()
}
