import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { chooseDevice } from '../../src/kernels/addon.js'
import {
  addonStatus,
  huConvertSync,
  hungarianMatchSync,
  linearSumAssignment,
  rezoomForwardSync,
  rezoomGradientSync,
  setThreads,
} from '../../src/kernels/index.js'
import { detached } from './detached.js'

const refused = (message: string | RegExp): unknown =>
  expect.objectContaining({
    name: 'NoduleError',
    code: 'INVALID_PARAMETER',
    message: expect.stringMatching(message) as string,
  })

const hu = { slices: [new Int16Array(4), new Int16Array(4)], slope: [1, 1], intercept: [0, 0] }

describe('huConvert refuses', () => {
  it.each([
    [
      'other types',
      { slices: [new Int16Array(4), new Uint16Array(4)] },
      /Expected Int16Array for slices\[1\] but received Uint16Array/,
    ],
    ['float slices', { slices: [new Float32Array(4)] }, /for slices\[0\]/],
    ['other lengths', { slices: [new Int16Array(4), new Int16Array(5)] }, /length 4 for slices\[1\]/],
    ['no array', { slices: new Int16Array(4) }, /array of typed arrays for slices/],
    ['a detached slice', { slices: [detached(new Int16Array(4))] }, /not detached for slices\[0\]/],
    ['too few slopes', { slope: [1] }, /2 numbers for slope/],
    ['a NaN slope', { slope: [1, NaN] }, /finite number \(float32\) for slope\[1\]/],
    ['an intercept beyond float32', { intercept: [1e39, 0] }, /for intercept\[0\]/],
    ['a short out', { out: new Int16Array(7) }, /length 8 for out/],
    ['an out of the other type', { out: new Float64Array(8) }, /Int16Array of length 8|Int16Array for out/],
    ['clamp turned round', { clamp: [5, 4] }, /for clamp\[1\]/],
    ['clamp outside int16', { clamp: [-40000, 0] }, /for clamp\[0\]/],
    ['padding turned round', { padding: { low: 3, high: 2 } }, /for padding.high/],
  ])('%s', (_, change, message) => {
    expect(() => huConvertSync({ ...hu, ...change } as typeof hu)).toThrow(refused(message))
  })

  it('an out that overlaps a slice', () => {
    const buffer = new ArrayBuffer(64)
    const slices = [new Int16Array(buffer, 0, 4), new Int16Array(buffer, 8, 4)]
    expect(() => huConvertSync({ ...hu, slices, out: new Int16Array(buffer, 14, 8) })).toThrow(
      refused(/shares no bytes/),
    )
    expect(huConvertSync({ ...hu, slices, out: new Int16Array(buffer, 16, 8) }).length).toBe(8)
  })

  it('an unknown output or device', () => {
    expect(() => huConvertSync(hu, { output: 'float64' as 'int16' })).toThrow(refused(/for output/))
    expect(() => huConvertSync(hu, { device: 'gpu' as 'cpu' })).toThrow(
      refused(/for device but received "gpu"/),
    )
  })
})

const rezoom = {
  features: new Float32Array(2 * 3 * 4 * 5),
  shape: [2, 3, 4, 5] as const,
  boxes: new Float32Array(2 * 6 * 4),
  offsetsX: [0, 1],
  offsetsY: [0],
  stride: 8,
}

describe('rezoom refuses', () => {
  it.each([
    ['a wrong shape', { shape: [2, 3, 4] }, /four sizes/],
    ['no pixels', { shape: [2, 0, 4, 5] }, /for shape\[1\]/],
    ['features of another length', { features: new Float32Array(7) }, /length 120 for features/],
    ['half a box', { boxes: new Float32Array(7) }, /for boxes/],
    ['no offsets', { offsetsX: [] }, /1 to 64 numbers for offsetsX/],
    ['an infinite offset', { offsetsY: [Infinity] }, /for offsetsY\[0\]/],
    ['stride 0', { stride: 0 }, /for stride/],
    ['another layout', { layout: 'HWC' }, /for layout/],
    ['too many elements', { shape: [1 << 20, 1 << 10, 1 << 10, 1] }, /2\^31/],
  ])('%s', (_, change, message) => {
    const input = { ...rezoom, ...change } as unknown as typeof rezoom
    expect(() => rezoomForwardSync(input)).toThrow(refused(message))
    expect(() => rezoomGradientSync(input, new Float32Array(120))).toThrow(refused(message))
  })

  it('a gradient of another length', () => {
    expect(() => rezoomGradientSync(rezoom, new Float32Array(3))).toThrow(refused(/length 120 for gradient/))
  })
})

const match = {
  predictions: new Float32Array(2 * 3 * 4),
  truths: new Float32Array(2 * 2 * 4),
  counts: Int32Array.of(1, 2),
  p: 3,
  t: 2,
  minIou: 0.25,
}

describe('hungarianMatch refuses', () => {
  it.each([
    ['65 predictions', { p: 65 }, /between 0 and 64 for p/],
    ['65 truths', { t: 65 }, /for t/],
    ['predictions of another length', { predictions: new Float32Array(23) }, /length 24 for predictions/],
    ['truths of another length', { truths: new Float32Array(17) }, /length 16 for truths/],
    ['a count above t', { counts: Int32Array.of(1, 3) }, /counts\[1\]/],
    ['a negative count', { counts: Int32Array.of(-1, 2) }, /counts\[0\]/],
    ['float counts', { counts: Float32Array.of(1, 2) }, /Int32Array for counts/],
    ['an IoU above 1', { minIou: 1.5 }, /for minIou/],
    ['detached truths', { truths: detached(new Float32Array(16)) }, /not detached for truths/],
  ])('%s', (_, change, message) => {
    for (const device of ['auto', 'reference'] as const)
      expect(() => hungarianMatchSync({ ...match, ...change } as typeof match, { device })).toThrow(
        refused(message),
      )
  })
})

describe('linearSumAssignment refuses', () => {
  it('another length, NaN, infinity, the CUDA device', () => {
    for (const device of ['auto', 'reference'] as const) {
      expect(() => linearSumAssignment(new Float64Array(5), 2, 3, { device })).toThrow(refused(/length 6/))
      expect(() => linearSumAssignment(Float64Array.of(1, NaN), 1, 2, { device })).toThrow(
        refused(/cost\[1\]/),
      )
      for (const bad of [-Infinity, 1e101])
        expect(() => linearSumAssignment(Float64Array.of(bad, 2), 2, 1, { device })).toThrow(
          refused(/cost\[0\]/),
        )
    }
    expect(() => linearSumAssignment(new Float64Array(1), 1, 1, { device: 'cuda' as 'cpu' })).toThrow(
      refused(/no CUDA version/),
    )
  })
})

describe('the addon', () => {
  const status = addonStatus()

  it('says what it is or why it is missing', () => {
    if (status.available) {
      expect(status.path).toMatch(/nodule\.node$/)
      expect(status.isa).toMatch(/^(x86-64(-v[234])?|arm64|generic)$/)
    } else {
      expect(status.problem).not.toBe('')
      expect(status.solutions?.length).toBeGreaterThan(0)
      expect(chooseDevice()).toBe('reference')
    }
  })

  it.skipIf(!status.available)('changes the number of threads', () => {
    setThreads(3)
    expect(addonStatus().threads).toBe(3)
    setThreads(status.threads)
    expect(() => setThreads(0)).toThrow(refused(/for threads/))
    expect(() => setThreads(1.5)).toThrow(refused(/for threads/))
  })

  it.skipIf(!status.available)('keeps that number where a worker thread loads the addon too', async () => {
    setThreads(3)
    // As src/kernels/addon.ts does at first.
    const worker = new Worker(
      `const { workerData } = require('node:worker_threads')
       require(workerData).setThreads(2, true)`,
      { eval: true, workerData: status.path },
    )
    expect(await once(worker, 'exit')).toEqual([0])
    expect(addonStatus().threads).toBe(3)
    setThreads(status.threads)
  })

  it.skipIf(status.cudaUsable)('refuses the CUDA device where there is none', () => {
    const error = expect.objectContaining({ code: 'UNAVAILABLE' }) as unknown
    expect(() => chooseDevice('cuda')).toThrow(error)
  })
})
