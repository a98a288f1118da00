import { writeList } from '../dataset/index.js'
import type { FrameList, ListEntry } from '../dataset/index.js'
import { clipBox } from '../geometry/box.js'
import type { EdgeBox } from '../geometry/box.js'
import { imageToFrame } from '../geometry/frame.js'
import type { FrameMapping } from '../geometry/frame.js'
import type { CubeSource } from '../patches/index.js'

/**
 * Writes the false marks into the entries of a list, as `nodule.hard`; those that are there from an earlier mining are
 * replaced in entries of the volumes that were mined now.
 * @returns entries that have false marks
 */
export async function writeHardMarks(list: FrameList, sources: readonly CubeSource[]): Promise<number> {
  const byVolume = new Map<string, Map<number, EdgeBox[]>>()
  for (const source of sources) {
    const slices = new Map<number, EdgeBox[]>()
    for (const { labels, boxes } of source.cubes) {
      if (labels.nodule !== 0) continue
      for (const { k, ...box } of boxes ?? []) {
        const own = slices.get(k)
        if (own === undefined) slices.set(k, [box])
        else own.push(box)
      }
    }
    byVolume.set(volumeName(source), slices)
  }
  let count = 0
  const entries = list.entries.map((entry): ListEntry => {
    const { nodule } = entry
    const slices = nodule === undefined ? undefined : byVolume.get(volumeName(nodule))
    // Entries that others made need not say where their frame lies.
    const mapping = nodule?.mapping as FrameMapping | undefined
    if (nodule === undefined || slices === undefined || mapping === undefined) return entry
    const { frameWidth, frameHeight } = mapping
    const hard = (slices.get(nodule.k) ?? [])
      .map((box) => clipBox(imageToFrame(mapping, box), frameWidth, frameHeight))
      .filter((box) => box.x2 > box.x1 && box.y2 > box.y1)
    const { hard: _, ...rest } = nodule
    if (hard.length > 0) count++
    return { ...entry, nodule: hard.length > 0 ? { ...rest, hard } : rest }
  })
  await writeList(list.path, entries)
  return count
}

function volumeName(source: {
  patientId: string
  seriesInstanceUid: string
  stack?: string | undefined
}): string {
  return [source.patientId, source.seriesInstanceUid, source.stack ?? ''].join('\n')
}
