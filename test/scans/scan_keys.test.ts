import { expect, test } from 'vitest'
import { scanKey, sharedUids } from '../../src/inference/index.js'

test('series UIDs of several patients are told apart by patient, others by themselves', () => {
  const scan = (patientId: string | undefined, seriesInstanceUid: string) => ({
    patientId,
    seriesInstanceUid,
  })
  const shared = sharedUids([
    scan('A', '1.1'),
    scan('A', '1.1'),
    scan('B', '1.1'),
    // Nothing says that these are of another patient; volume files are called after their series.
    scan('A', '1.2'),
    scan('', '1.2'),
    scan(undefined, '1.2'),
    scan('1.2', '1.2'),
  ])
  expect([...shared]).toEqual(['1.1'])
  expect(scanKey(scan('A', '1.1'), shared)).toBe('1.1 (A)')
  expect(scanKey(scan('', '1.1'), shared)).toBe('1.1')
  expect(scanKey(scan('A', '1.2'), shared)).toBe('1.2')
  // A copy without names that keeps the UIDs is the same scan.
  expect([...sharedUids([scan('A', '1.1')], [scan('ANON-7', '1.1')])]).toEqual([])
  expect([...sharedUids([scan('A', '1.1')], [scan('A', '1.1'), scan('B', '1.1')])]).toEqual(['1.1'])
})
