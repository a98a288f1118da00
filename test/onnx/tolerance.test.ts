import { expect, it } from 'vitest'
import { EXPORT_TOLERANCE, confidenceScale } from '../../src/onnx/verify.js'

it('the tolerance of confidences grows with the logits, and not without end', () => {
  // Ordinary logits: as it was.
  expect(confidenceScale(Float32Array.of(0, 10, -3, 4))).toBe(1)
  // 1.67e-4, as overfeat_resnet_rezoom once showed, is rounding where logits are 67 apart or more.
  expect(confidenceScale(Float32Array.of(0, 1, -60, 60)) * EXPORT_TOLERANCE).toBeGreaterThan(1.67e-4)
  expect(confidenceScale(Float32Array.of(-1e8, 1e8)) * EXPORT_TOLERANCE).toBeCloseTo(0.01, 10)
  expect(confidenceScale(new Float32Array(0))).toBe(1)
})

it('a confidence moves by no more than the scale says where its logits are rounded', () => {
  for (const logit of [1, 20, 100, 1000]) {
    const moved = (x: number): number => 1 / (1 + Math.exp(-x))
    const change = Math.abs(moved(logit * 1e-5) - moved(0))
    expect(change).toBeLessThanOrEqual(confidenceScale(Float32Array.of(0, logit)) * EXPORT_TOLERANCE)
  }
})
