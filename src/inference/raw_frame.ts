/** What the model says about one frame: every cell's boxes, overlapping and mostly empty. */
export interface RawFrame {
  /** [cells * rnn_len * 4]: x1, y1, x2, y2 in frame pixels. */
  boxes: Float32Array
  /** [cells * rnn_len] in [0, 1]. */
  confidences: Float32Array
}

/** The part of a batch's result that belongs to frame n. */
export function frameOf(raw: RawFrame, n: number, count: number): RawFrame {
  const boxes = raw.confidences.length / count
  return {
    boxes: raw.boxes.subarray(n * boxes * 4, (n + 1) * boxes * 4),
    confidences: raw.confidences.subarray(n * boxes, (n + 1) * boxes),
  }
}
