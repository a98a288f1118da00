// @ts-check
// The slice-level curve for the IoU and confidence of the sliders, with the same matching as
// src/evaluation/slices/match.ts: a test compares both.

/** @type {(a: AnyBox, b: AnyBox) => number} */
const iou = (a, b) => {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0])
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1])
  const shared = w > 0 && h > 0 ? w * h : 0
  const union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
  return union > 0 ? shared / union : 0
}

/** @type {(box: AnyBox, image: PageImage, minIou: number) => boolean} */
const onExcluded = (box, image, minIou) => (image.excluded || []).some((other) => iou(box, other) >= minIou)

/**
 * Maximum matching as the score falls; see GrowingMatch.
 *
 * @param {PageImage[]} images
 * @param {number} minIou
 */
function evaluate(images, minIou) {
  const matches = images.map(({ truth, detections }) => ({
    detectionOf: truth.map(() => -1),
    truthOf: detections.map(() => -1),
    options: detections.map((detection) =>
      truth
        .map((box, index) => ({ index, overlap: iou(detection, box) }))
        .filter((option) => option.overlap >= minIou)
        .sort((a, b) => b.overlap - a.overlap || a.index - b.index)
        .map((option) => option.index),
    ),
  }))
  /** @type {(match: typeof matches[number], detection: number, seen: Set<number>) => boolean} */
  const augment = (match, detection, seen) => {
    for (const truth of match.options[detection]) {
      if (seen.has(truth)) continue
      seen.add(truth)
      if (match.detectionOf[truth] < 0 || augment(match, match.detectionOf[truth], seen)) {
        match.detectionOf[truth] = detection
        match.truthOf[detection] = truth
        return true
      }
    }
    return false
  }
  const order = images
    .flatMap((image, i) => image.detections.map((box, d) => ({ i, d, score: box[4] })))
    .sort((a, b) => b.score - a.score)
  const truths = images.reduce((sum, image) => sum + image.truth.length, 0)
  /** @type {Point[]} */
  const curve = []
  let tp = 0
  let kept = 0
  order.forEach(({ i, d, score }, index) => {
    if (augment(matches[i], d, new Set())) {
      tp++
      kept++
    } else if (!onExcluded(images[i].detections[d], images[i], minIou)) kept++
    if ((index + 1 < order.length && order[index + 1].score === score) || kept === 0) return
    curve.push({
      threshold: score,
      tp,
      fp: kept - tp,
      fn: truths - tp,
      precision: tp / kept,
      recall: truths ? tp / truths : null,
    })
  })
  let ap = 0
  if (truths) {
    let best = 0
    for (let i = curve.length - 1; i >= 0; i--) {
      best = Math.max(best, curve[i].precision)
      ap += best * ((curve[i].recall ?? 0) - (i ? (curve[i - 1].recall ?? 0) : 0))
    }
  }
  return { curve, ap: truths ? ap : null, truths }
}

/**
 * Matches of one image among the detections at or above a confidence.
 *
 * @param {PageImage} image
 * @param {number} confidence
 * @param {number} minIou
 */
function outcome(image, confidence, minIou) {
  const kept = image.detections
    .map((box, index) => ({ box, index }))
    .filter(({ box }) => box[4] >= confidence)
    .sort((a, b) => b.box[4] - a.box[4])
  const detectionOf = image.truth.map(() => -1)
  const options = new Map(
    kept.map(({ box, index }) => [
      index,
      image.truth
        .map((truth, t) => ({ t, overlap: iou(box, truth) }))
        .filter((option) => option.overlap >= minIou)
        .sort((a, b) => b.overlap - a.overlap || a.t - b.t)
        .map((option) => option.t),
    ]),
  )
  /** @type {(detection: number, seen: Set<number>) => boolean} */
  const augment = (detection, seen) => {
    for (const t of options.get(detection) ?? []) {
      if (seen.has(t)) continue
      seen.add(t)
      if (detectionOf[t] < 0 || augment(detectionOf[t], seen)) {
        detectionOf[t] = detection
        return true
      }
    }
    return false
  }
  for (const { index } of kept) augment(index, new Set())
  const matched = new Set(detectionOf.filter((d) => d >= 0))
  return {
    hits: image.truth
      .map((box, t) => ({ truth: box, detection: image.detections[detectionOf[t]] }))
      .filter((pair) => pair.detection),
    wrong: kept
      .filter(({ box, index }) => !matched.has(index) && !onExcluded(box, image, minIou))
      .map(({ box }) => box),
    missed: image.truth.filter((_, t) => detectionOf[t] < 0),
  }
}
