/** Complementary error function, relative error below 1e-15 (W. J. Cody, 1969, rational Chebyshev forms). */
export function erfc(x: number): number {
  const y = Math.abs(x)
  let result: number
  if (y <= 0.46875) {
    const z = y > 1e-300 ? y * y : 0
    const a = [
      3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694, 0.18577770618460315,
    ]
    const b = [23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171]
    let top = a[4]! * z
    let bottom = z
    for (let i = 0; i < 3; i++) {
      top = (top + a[i]!) * z
      bottom = (bottom + b[i]!) * z
    }
    return 1 - (x * (top + a[3]!)) / (bottom + b[3]!)
  }
  if (y <= 4) {
    const c = [
      0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001, 881.952221241769,
      1712.0476126340707, 2051.0783778260716, 1230.3393547979972, 2.1531153547440383e-8,
    ]
    const d = [
      15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
      4362.619090143247, 3439.3676741437216, 1230.3393548037495,
    ]
    let top = c[8]! * y
    let bottom = y
    for (let i = 0; i < 7; i++) {
      top = (top + c[i]!) * y
      bottom = (bottom + d[i]!) * y
    }
    result = (top + c[7]!) / (bottom + d[7]!)
  } else {
    const z = 1 / (y * y)
    const p = [
      0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
      0.0006587491615298378, 0.016315387137302097,
    ]
    const q = [
      2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918,
    ]
    let top = p[5]! * z
    let bottom = z
    for (let i = 0; i < 4; i++) {
      top = (top + p[i]!) * z
      bottom = (bottom + q[i]!) * z
    }
    result = (z * (top + p[4]!)) / (bottom + q[4]!)
    result = (0.5641895835477563 - result) / y
  }
  // exp(-y * y) without losing digits of a large square.
  const coarse = Math.trunc(y * 16) / 16
  result *= Math.exp(-coarse * coarse) * Math.exp(-(y - coarse) * (y + coarse))
  return x < 0 ? 2 - result : result
}

/** P(Z <= z) of the standard normal distribution. */
export function normalCdf(z: number): number {
  return erfc(-z / Math.SQRT2) / 2
}

/** The z with P(Z <= z) = p; -Infinity and Infinity at 0 and 1. Newton's method on `normalCdf`, safeguarded. */
export function normalQuantile(p: number): number {
  if (!(p > 0)) return p === 0 ? -Infinity : Number.NaN
  if (!(p < 1)) return p === 1 ? Infinity : Number.NaN
  // Near 1 the distance from 1 has more digits than p itself.
  if (p > 0.5) return -normalQuantile(1 - p)
  let low = -40
  let high = 40
  let z = 0
  for (let i = 0; i < 100; i++) {
    const error = normalCdf(z) - p
    if (error > 0) high = z
    else low = z
    const step = error / (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI))
    const next = z - step
    const inside = Number.isFinite(next) && next > low && next < high
    const moved = inside ? next : (low + high) / 2
    if (Math.abs(moved - z) <= 1e-15 * Math.max(1, Math.abs(z))) return moved
    z = moved
  }
  return z
}

/** P(X >= x) of the chi-squared distribution with one degree of freedom. */
export function chiSquared1Tail(x: number): number {
  return x <= 0 ? 1 : erfc(Math.sqrt(x / 2))
}

/** Two-sided exact binomial test of k successes in n at p = 1/2: twice the smaller tail, at most 1. */
export function binomialHalfTest(k: number, n: number): number {
  if (n === 0) return 1
  const least = Math.min(k, n - k)
  // log C(n, i) - n log 2, summed from i = 0.
  let term = -n * Math.LN2
  let sum = Math.exp(term)
  for (let i = 1; i <= least; i++) {
    term += Math.log(n - i + 1) - Math.log(i)
    sum += Math.exp(term)
  }
  return Math.min(1, 2 * sum)
}

/** Mean and standard deviation (n - 1 in the denominator; 0 for one value). */
export function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number | null } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  if (values.length < 2) return { mean, deviation: null }
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) }
}
