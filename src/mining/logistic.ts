/** A mark: its features, and whether it is a nodule. */
export interface Example {
  features: readonly number[]
  positive: boolean
  /** Part of the sum that is given and not fitted; default 0. */
  given?: number
}

/** How strongly weights are drawn to 0, for marks that can be told apart without error. */
const RIDGE = 1e-3
const STEPS = 100

/**
 * Logistic regression by Newton's method: the weights that make the examples most likely, less RIDGE / 2 times the
 * sum of their squares (the offset's not included), per example.
 * @returns the weights of the features, then the offset
 */
export function fitLogistic(examples: readonly Example[]): number[] {
  const width = (examples[0]?.features.length ?? 0) + 1
  const weights: number[] = Array.from({ length: width }, () => 0)
  for (let step = 0; step < STEPS; step++) {
    const gradient: number[] = weights.map((weight, n) => (n < width - 1 ? RIDGE * weight : 0))
    const hessian = weights.map((_, row) =>
      weights.map((__, column) => (row === column && row < width - 1 ? RIDGE : row === column ? 1e-12 : 0)),
    )
    for (const { features, positive, given } of examples) {
      const x = [...features, 1]
      const p = 1 / (1 + Math.exp(-x.reduce((sum, value, n) => sum + value * weights[n]!, given ?? 0)))
      for (let row = 0; row < width; row++) {
        gradient[row]! += ((p - (positive ? 1 : 0)) * x[row]!) / examples.length
        for (let column = 0; column < width; column++)
          hessian[row]![column]! += (p * (1 - p) * x[row]! * x[column]!) / examples.length
      }
    }
    const move = solve(hessian, gradient)
    // A long step may overshoot where the curve is flat.
    const length = Math.hypot(...move)
    const part = length > 5 ? 5 / length : 1
    move.forEach((value, n) => (weights[n]! -= part * value))
    if (length < 1e-10) break
  }
  return weights
}

/** Solves a x = b by elimination with row exchange. */
function solve(a: readonly (readonly number[])[], b: readonly number[]): number[] {
  const n = b.length
  const rows = a.map((row, index) => [...row, b[index]!])
  for (let column = 0; column < n; column++) {
    let best = column
    for (let row = column + 1; row < n; row++)
      if (Math.abs(rows[row]![column]!) > Math.abs(rows[best]![column]!)) best = row
    ;[rows[column], rows[best]] = [rows[best]!, rows[column]!]
    for (let row = 0; row < n; row++) {
      if (row === column) continue
      const factor = rows[row]![column]! / rows[column]![column]!
      for (let k = column; k <= n; k++) rows[row]![k]! -= factor * rows[column]![k]!
    }
  }
  return rows.map((row, index) => row[n]! / row[index]!)
}
