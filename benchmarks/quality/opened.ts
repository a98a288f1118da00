import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { defaultConfidences, openStages } from '../../src/inference/index.js'
import type { Session } from '../../src/inference/index.js'
import { knownScans } from './scans.js'
import type { KnownScan } from './scans.js'

type Options = Record<string, { type: 'string'; default?: string } | { type: 'boolean'; default: boolean }>

export interface Opened {
  /** Of the command line: this program's own options. */
  values: Record<string, string | boolean | undefined>
  session: Session
  /** As `nodule detect` has them. */
  defaults: { minScore: number; minConfidence: number }
  /** Folder of the nodule stacks, and whose patients: "val" or "test". */
  stacks: string
  part: string
  scans: KnownScan[]
}

/**
 * What every program that judges a model is given: --model FILE [--second FILE|none] [--data FOLDER] [--part test|val]
 * [--scans PATIENT,...], and its own options.
 */
export async function open(program: string, own: Options, needed: readonly string[] = []): Promise<Opened> {
  const { values } = parseArgs({
    options: {
      model: { type: 'string' },
      second: { type: 'string' },
      data: { type: 'string', default: process.env['NODULE_DATA'] },
      part: { type: 'string', default: 'test' },
      scans: { type: 'string', default: 'lidc-idri-0001,lidc-idri-0003,qin-lung-ct' },
      ...own,
    },
  })
  const { model, second, data, part, scans } = values
  const missing = needed.filter((name) => !(name in values))
  if (model === undefined || data === undefined || missing.length > 0) {
    const more = needed.map((name) => ` --${name} ${name.toUpperCase()}`)
    throw new Error(`usage: ${program} --model FILE --data FOLDER (or NODULE_DATA)${more.join('')}`)
  }
  const session = await openStages(model, second)
  return {
    values,
    session,
    defaults: defaultConfidences(session),
    stacks: join(data, 'lidc-nodule-stacks', 'lidc-nodule-stacks'),
    part,
    scans: await knownScans(scans.split(',').map((name) => join(data, name))),
  }
}
