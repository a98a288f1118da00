import { iou } from '../../geometry/box.js'
import type { EdgeBox } from '../../geometry/box.js'

/** Whether a box lies on a finding that counts neither way, at the same IoU as a hit. */
export function isOnExcluded(
  box: EdgeBox,
  excluded: readonly EdgeBox[] | undefined,
  minIou: number,
): boolean {
  return excluded?.some((other) => iou(box, other) >= minIou) === true
}

/**
 * A maximum matching between the detections and the true boxes of one image that grows one detection at a time, as
 * the score threshold falls. A detection may be matched to a true box at IoU >= minIou (Pascal's rule).
 *
 * Adding a vertex to a bipartite graph enlarges its maximum matching by one augmenting path from that vertex or not
 * at all (Berge), so one search per detection gives the maximum flow that TensorBox recomputes for every threshold,
 * and a detection that is matched once stays matched.
 */
export class GrowingMatch {
  /** Per true box: the index of its detection, or -1. */
  readonly detectionOf: Int32Array
  /** Per detection: the index of its true box, or -1. */
  readonly truthOf: Int32Array
  /** Per detection: the true boxes that it may be matched to, the best IoU first. */
  private readonly options: Int32Array[]
  private readonly visited: Uint8Array

  constructor(truth: readonly EdgeBox[], detections: readonly EdgeBox[], minIou: number) {
    this.detectionOf = new Int32Array(truth.length).fill(-1)
    this.truthOf = new Int32Array(detections.length).fill(-1)
    this.visited = new Uint8Array(truth.length)
    this.options = detections.map((detection) => {
      const overlaps = truth.map((box) => iou(detection, box))
      return Int32Array.from(
        overlaps
          .map((_, index) => index)
          .filter((index) => overlaps[index]! >= minIou)
          .sort((a, b) => overlaps[b]! - overlaps[a]! || a - b),
      )
    })
  }

  /** Whether a detection overlaps any true box enough. */
  hasOption(detection: number): boolean {
    return this.options[detection]!.length > 0
  }

  /** Adds a detection; true when the matching grew by one. */
  add(detection: number): boolean {
    this.visited.fill(0)
    return this.augment(detection)
  }

  private augment(detection: number): boolean {
    for (const truth of this.options[detection]!) {
      if (this.visited[truth] !== 0) continue
      this.visited[truth] = 1
      const holder = this.detectionOf[truth]!
      if (holder < 0 || this.augment(holder)) {
        this.detectionOf[truth] = detection
        this.truthOf[detection] = truth
        return true
      }
    }
    return false
  }
}
