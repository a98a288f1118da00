/** Complementary error function, relative error below 1e-15 (W. J. Cody, 1969, rational Chebyshev forms). */
export function erfc(x: number): number {
  const y = Math.abs(x)
  let result: number
  if (y <= 0.46875) {
    const z = y > 1e-300 ? y * y : 0
    const a = [
      3.1611237438705656, 113.864154151050156, 377.485237685302021, 3209.37758913846947, 0.185777706184603153,
    ]
    const b = [23.6012909523441209, 244.024637934444173, 1282.61652607737228, 2844.23683343917062]
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
      0.564188496988670089, 8.88314979438837594, 66.1191906371416295, 298.635138197400131, 881.95222124176909,
      1712.04761263407058, 2051.07837782607147, 1230.33935479799725, 2.15311535474403846e-8,
    ]
    const d = [
      15.7449261107098347, 117.693950891312499, 537.181101862009858, 1621.38957456669019, 3290.79923573345963,
      4362.61909014324716, 3439.36767414372164, 1230.33935480374942,
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
      0.305326634961232344, 0.360344899949804439, 0.125781726111229246, 0.0160837851487422766,
      6.58749161529837803e-4, 0.0163153871373020978,
    ]
    const q = [
      2.56852019228982242, 1.87295284992346725, 0.527905102951428412, 0.0605183413124413191,
      0.00233520497626869185,
    ]
    let top = p[5]! * z
    let bottom = z
    for (let i = 0; i < 4; i++) {
      top = (top + p[i]!) * z
      bottom = (bottom + q[i]!) * z
    }
    result = (z * (top + p[4]!)) / (bottom + q[4]!)
    result = (0.56418958354775628695 - result) / y
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
export function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  if (values.length < 2) return { mean, deviation: 0 }
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) }
}
