import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { evaluateScanRuns } from '../../src/evaluation/index.js'
import {
  DETECT_DEFAULTS,
  defaultConfidences,
  detectFolders,
  openStages,
  shippedModel,
} from '../../src/inference/index.js'
import { writePhantoms } from '../../src/phantom/index.js'
import { PACKAGE_ROOT } from '../../src/version.js'

// DICOM to nodules on patients that no model has learnt, the whole way that a user goes.
let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'nodule-phantoms-'))
  await writePhantoms(join(root, 'scans'), { hard: true, patients: 2, first: 951, seed: 951 })
}, 120_000)
afterAll(async () => rm(root, { recursive: true }))

test.each([
  ['patients alone taught', 'lung', () => shippedModel('cpu'), 0.6],
  ['phantoms alone taught', 'phantoms', () => join(PACKAGE_ROOT, 'models', 'phantoms.onnx'), 0.9],
] as const)(
  'the pair that %s finds the nodules of hard phantoms',
  async (_, name, path, least) => {
    const session = await openStages(path(), undefined, { device: 'cpu', threads: 2 })
    const output = join(root, name)
    try {
      const { minScore } = defaultConfidences(session)
      const link = { ...DETECT_DEFAULTS.link, minConfidence: 0.02 }
      const parameters = { ...DETECT_DEFAULTS, minScore, link }
      const { scans, notes } = await detectFolders([join(root, 'scans')], session, { output, parameters })
      expect(notes.filter(({ failed }) => failed)).toEqual([])
      expect(scans).toHaveLength(2)
    } finally {
      await session.release()
    }
    const { runs } = await evaluateScanRuns({
      predictions: [output],
      scans: [join(root, 'scans')],
      bootstraps: 0,
    })
    expect(runs[0]!.cpm!.value).toBeGreaterThan(least)
  },
  120_000,
)
