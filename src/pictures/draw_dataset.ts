import { join } from 'node:path'
import { readList } from '../dataset/index.js'
import type { DatasetManifest, FrameList } from '../dataset/index.js'
import { drawList } from './draw_list.js'

/** Draws frames of all lists of a data set to OUTPUT/check; see `drawList`. */
export async function drawDataset(
  output: string,
  manifest: DatasetManifest,
  count: number,
): Promise<string[]> {
  const files = manifest.lists.map((list) => list.file).filter((file) => !file.endsWith('-train.json'))
  const lists = files.map((file) => readList(join(output, file)))
  const all: FrameList = {
    path: output,
    dir: lists[0]?.dir ?? output,
    entries: lists.flatMap((list) => list.entries),
    warnings: [],
  }
  return drawList(all, join(output, 'check'), count, {
    low: manifest.parameters.windowLowHu,
    high: manifest.parameters.windowHighHu,
  })
}
