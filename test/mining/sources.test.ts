import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { findSources } from '../../src/mining/sources.js'
import { convertSeries } from '../../src/scans/index.js'
import { writeScan } from '../dataset/scan_files.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-sources-'))
afterAll(() => rmSync(root, { recursive: true }))

it('a scan and its volume file are one source', async () => {
  const ball = { x: 26, y: 50, z: 12, radiusMm: 15 }
  writeScan(join(root, 'scan'), { patientId: 'P1', seriesUid: '1.2.1', ball })
  const volume = join(root, '1.2.1.mhd')
  await convertSeries([join(root, 'scan')], volume)
  const warnings: string[] = []
  const { sources } = await findSources({
    ...{ scans: [root], xml: [], rule: { minReaders: 3, minAxialDiameterMm: 3, minBoxPx: 0, padBoxPx: 0 } },
    onWarning: (warning) => warnings.push(warning),
  })
  expect(sources.map(({ patientId }) => patientId)).toEqual(['P1'])
  expect(warnings).toEqual([`${volume}: left out: the scan of P1 1.2.1, by its series UID`])
})
