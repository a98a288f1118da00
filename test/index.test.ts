import { describe, expect, it } from 'vitest'
import * as library from '../src/index.js'

it('what the second stage takes is in the library too', () => {
  const { calibrate, calibrateLike, mine, readPatchHypes, trainPatches } = library
  for (const one of [calibrate, calibrateLike, mine, readPatchHypes, trainPatches])
    expect(one).toBeTypeOf('function')
  expect(library.MINE_DEFAULTS.maxMarks).toBe(300)
})

describe('a call without TypeScript that gives the wrong thing is told which argument it is', () => {
  const session = { run: async () => Promise.reject(new Error('not here')) }
  const doors: Readonly<Record<string, unknown>> = { ...library }
  const volume = { data: new Int16Array(1), shape: [1, 1, 1], geometry: {} }
  const cases: [keyof typeof library, unknown[], string][] = [
    ['findSeries', [], 'paths'],
    ['findSeries', ['folder'], 'paths'],
    ['findSeries', [[], null], 'options'],
    ['listFiles', [[1]], 'paths'],
    ['loadVolume', [], 'series'],
    ['loadVolume', [{ series: [], skipped: [] }], 'series'],
    ['segmentLungs', [null], 'volume'],
    ['segmentLungs', [volume, null], 'options'],
    ['readDicom', [], 'path'],
    ['readLidcXml', [7], 'path'],
    ['parseDicom', [], 'bytes'],
    ['parseDicom', ['x.dcm', 'x.dcm'], 'bytes'],
    ['parseLidcXml', [], 'content'],
    ['parseLidcXml', [Buffer.from('<LidcReadMessage/>'), 'a.xml'], 'content'],
    ['readList', [null], 'path'],
    ['readHypes', [], 'path'],
    ['readPatchHypes', [{}], 'path'],
    ['readDetections', [], 'path'],
    ['writeDetections', ['x.json'], 'detections'],
    ['writeMarkups', ['x.json'], 'detections'],
    ['writeNifti', ['x.nii'], 'volume'],
    ['writeMetaImage', ['x.mha', { data: volume.data, shape: volume.shape }], 'geometry'],
    ['annotateFolders', ['folder'], 'folders'],
    ['annotateFolders', [[], null], 'options'],
    ['annotateFolders', [[], { xml: 'a.xml' }], 'xml'],
    ['anonymizeFiles', [['a']], 'output'],
    ['convertSeries', ['folder', 'x.nii'], 'inputs'],
    ['convertSeries', [['folder']], 'output'],
    ['segmentFolders', [['folder']], 'options'],
    ['segmentFolders', [['folder'], {}], 'output'],
    ['drawGallery', [['folder']], 'options'],
    ['writePhantoms', [], 'dir'],
    ['openSession', [], 'path'],
    ['openSession', ['x.onnx', null], 'options'],
    ['openStages', [], 'path'],
    ['openPatchSession', ['x.onnx', null], 'options'],
    ['detectVolume', [undefined, session], 'volume'],
    ['detectVolume', [volume], 'session'],
    ['detectFolders', ['folder', session, { output: 'x' }], 'paths'],
    ['detectFolders', [['folder'], Promise.resolve(session), { output: 'x' }], 'session'],
    ['detectFolders', [['folder'], session], 'options'],
    ['detectFolders', [['folder'], session, {}], 'output'],
    ['detectList', ['x.json', session], 'output'],
    ['prepareDataset', [], 'options'],
    ['prepareDataset', [{ inputs: 'folder', output: 'x' }], 'inputs'],
    ['prepareDataset', [{ inputs: ['folder'], output: 'x', hypes: 'lung.json' }], 'hypes'],
    ['train', [], 'options'],
    ['train', [{ hypes: 'x.json' }], 'output'],
    ['trainPatches', [{ hypes: 'x.json', output: 'x', train: [7] }], 'train'],
    ['mine', [{ scans: ['folder'], xml: [], output: 'x' }], 'hypes'],
    ['calibrate', [{ second: 'x.onnx' }], 'cubes'],
    ['calibrateLike', ['x.onnx', 'y.onnx'], 'twins'],
    ['exportOnnx', ['x.safetensors'], 'outPath'],
    ['exportPatches', ['x.safetensors', 'x.onnx', null], 'options'],
    ['evaluateFiles', [], 'options'],
    ['evaluateFiles', [{ predictions: 'x.json', truth: 'y.json' }], 'predictions'],
    ['evaluateFiles', [{ predictions: ['x'], scans: 'folder' }], 'scans'],
    ['evaluateSlices', [], 'truth'],
    ['evaluateSlices', [[], 'x.json'], 'predictions'],
    ['evaluateSlices', [[], [], null], 'options'],
    ['evaluateScans', ['1.2'], 'series'],
    ['evaluateScans', [['1.2']], 'findings'],
    ['evaluateScans', [['1.2'], []], 'marks'],
    ['evaluateScans', [['1.2'], [], [], null], 'options'],
    ['readReferences', [], 'folders'],
    ['writeReport', [{}], 'output'],
    ['writeReport', [{ output: 'x.html', scans: 'folder' }], 'scans'],
  ]
  it.each(cases)('%s(%j): %s', async (name, args, parameter) => {
    const call = async (): Promise<unknown> => (doors[name] as (...args: unknown[]) => unknown)(...args)
    await expect(call()).rejects.toMatchObject({ code: 'INVALID_PARAMETER', parameters: [parameter] })
  })
})
