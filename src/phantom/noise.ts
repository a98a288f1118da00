import type { Random } from '../random.js'

/** Side of the noise tiles, pixels: a power of two, periodic. */
export const tileSize = 512

/**
 * A periodic tile of noise with the texture of filtered back projection: white noise, smoothed as the reconstruction
 * kernel does and with the lowest frequencies taken out. Mean 0, standard deviation 1.
 *
 * @param fine width of the smoothing in pixels (deviation of the Gaussian): about 0.6 for a sharp kernel, 1.2 for soft
 */
export function noiseTile(random: Random, fine: number): Float32Array {
  const white = new Float32Array(tileSize * tileSize)
  for (let n = 0; n < white.length; n++) white[n] = random.normal()
  const smooth = blur(white, fine)
  const coarse = blur(white, fine * 2.6)
  let sum = 0
  for (let n = 0; n < smooth.length; n++) {
    smooth[n] = smooth[n]! - 0.85 * coarse[n]!
    sum += smooth[n]! * smooth[n]!
  }
  const scale = 1 / Math.sqrt(sum / smooth.length)
  for (let n = 0; n < smooth.length; n++) smooth[n] = smooth[n]! * scale
  return smooth
}

/**
 * Standard deviation of a tile's means over areas of that many pixels: of the noise that is left when an eye averages.
 * Taken at every fourth row and column.
 */
export function deviationOfMeans(tile: Float32Array, width: number, height: number): number {
  const mask = tileSize - 1
  let sum = 0
  for (let y = 0; y < tileSize; y += 4)
    for (let x = 0; x < tileSize; x += 4) {
      let value = 0
      for (let j = 0; j < height; j++)
        for (let i = 0; i < width; i++) value += tile[((y + j) & mask) * tileSize + ((x + i) & mask)]!
      sum += (value / (width * height)) ** 2
    }
  return Math.sqrt(sum / (tileSize / 4) ** 2)
}

/** Periodic Gaussian blur of a tile. */
function blur(tile: Float32Array, sigma: number): Float32Array {
  const reach = Math.ceil(3 * sigma)
  const weights = new Float32Array(2 * reach + 1)
  let sum = 0
  for (let n = -reach; n <= reach; n++) {
    weights[n + reach] = Math.exp(-(n * n) / (2 * sigma * sigma))
    sum += weights[n + reach]!
  }
  for (let n = 0; n < weights.length; n++) weights[n] = weights[n]! / sum
  const mask = tileSize - 1
  const pass = (from: Float32Array, strideAlong: number, strideAcross: number): Float32Array => {
    const to = new Float32Array(from.length)
    for (let line = 0; line < tileSize; line++) {
      const base = line * strideAcross
      for (let at = 0; at < tileSize; at++) {
        let value = 0
        for (let n = -reach; n <= reach; n++)
          value += weights[n + reach]! * from[base + ((at + n) & mask) * strideAlong]!
        to[base + at * strideAlong] = value
      }
    }
    return to
  }
  return pass(pass(tile, 1, tileSize), tileSize, 1)
}
