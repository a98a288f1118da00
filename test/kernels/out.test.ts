import { describe, expect, it } from 'vitest'
import {
  hungarianMatch,
  hungarianMatchSync,
  rezoomForward,
  rezoomForwardSync,
  rezoomGradient,
  rezoomGradientSync,
  roiAlignForward,
  roiAlignForwardSync,
  roiAlignGradient,
  roiAlignGradientSync,
} from '../../src/kernels/index.js'
import {
  matchCases,
  matchInput,
  rezoomCases,
  rezoomInput,
  roiAlignCases,
  roiAlignInput,
} from '../../benchmarks/cases/kernels.js'

/** The first case that has something to write. */
function firstOf<Case extends { bench?: boolean }>(
  cases: readonly Case[],
  fits: (one: Case) => boolean,
): Case {
  const found = cases.find((one) => one.bench !== true && fits(one))
  if (found === undefined) throw new Error('no such case')
  return found
}

const rezoom = rezoomInput(firstOf(rezoomCases, (c) => c.boxes > 1 && (c.shape[3] ?? 0) > 1))
const roiAlign = roiAlignInput(firstOf(roiAlignCases, (c) => c.boxes > 1 && (c.shape[3] ?? 0) > 1))
const match = matchInput(firstOf(matchCases, (c) => c.p > 1 && c.t > 1 && c.cells > 1))
const dirty = (length: number): Float32Array => new Float32Array(length).fill(9)

describe.each(['reference', 'auto'] as const)('out on %s', (device) => {
  it('of the forward passes is overwritten and returned', async () => {
    for (const [sync, later, input] of [
      [rezoomForwardSync, rezoomForward, rezoom.input],
      [roiAlignForwardSync, roiAlignForward, roiAlign.input],
    ] as [typeof rezoomForwardSync, typeof rezoomForward, typeof rezoom.input][]) {
      const expected = sync(input, { device })
      const out = dirty(expected.length)
      expect(sync(input, { device, out })).toBe(out)
      expect(out).toEqual(expected)
      out.fill(9)
      expect(await later(input, { device, out })).toBe(out)
      expect(out).toEqual(expected)
    }
  })

  it('of the gradients is overwritten and returned', async () => {
    const { input, gradient } = rezoom
    const expected = rezoomGradientSync(input, gradient, { device })
    const out = { features: dirty(expected.features.length), boxes: dirty(expected.boxes.length) }
    expect(rezoomGradientSync(input, gradient, { device, out }).features).toBe(out.features)
    expect(out).toEqual(expected)
    out.features.fill(9)
    expect((await rezoomGradient(input, gradient, { device, out })).boxes).toBe(out.boxes)
    expect(out).toEqual(expected)

    const whole = roiAlignGradientSync(roiAlign.input, roiAlign.gradient, { device })
    const one = dirty(whole.length)
    expect(roiAlignGradientSync(roiAlign.input, roiAlign.gradient, { device, out: one })).toBe(one)
    expect(one).toEqual(whole)
    one.fill(9)
    expect(await roiAlignGradient(roiAlign.input, roiAlign.gradient, { device, out: one })).toBe(one)
    expect(one).toEqual(whole)
  })

  it('of a match is overwritten and returned', async () => {
    const expected = hungarianMatchSync(match, { device })
    const out = {
      assignment: new Int32Array(expected.assignment.length).fill(7),
      cost: new Float64Array(expected.cost.length).fill(7),
    }
    expect(hungarianMatchSync({ ...match, out }, { device })).toBe(out)
    expect(out).toEqual(expected)
    out.assignment.fill(7)
    expect(await hungarianMatch({ ...match, out }, { device })).toBe(out)
    expect(out).toEqual(expected)
  })

  it.each([
    ['of another length', () => rezoomForwardSync(rezoom.input, { device, out: dirty(3) }), /for out/],
    [
      'that is an input',
      () => {
        const { features } = rezoom.input
        rezoomGradientSync(rezoom.input, rezoom.gradient, { device, out: { features, boxes: dirty(1) } })
      },
      /shares no bytes with the other arrays for out\.features/,
    ],
    [
      'twice the same',
      () => {
        const both = dirty(rezoom.input.features.length)
        const out = { features: both, boxes: both.subarray(0, rezoom.input.boxes.length) }
        rezoomGradientSync(rezoom.input, rezoom.gradient, { device, out })
      },
      /for out\.boxes/,
    ],
    [
      'with a short cost',
      () => {
        const out = { ...hungarianMatchSync(match, { device }), cost: new Float64Array(1) }
        hungarianMatchSync({ ...match, out }, { device })
      },
      /for out\.cost/,
    ],
  ])('%s is refused', (_, work, message) => {
    expect(work).toThrow(
      expect.objectContaining({
        code: 'INVALID_PARAMETER',
        message: expect.stringMatching(message) as string,
      }),
    )
  })
})
