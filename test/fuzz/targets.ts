/** Every parser outside DICOM, each with small whole files and what the package does with one. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync, gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { jsonToXml, readLidcXml } from '../../src/annotations/index.js'
import { readPatchHypes } from '../../src/config/patch_hypes.js'
import { readHypes } from '../../src/config/hypes.js'
import { readList } from '../../src/dataset/index.js'
import { splitRule } from '../../src/dataset/prepare/split.js'
import { readStackIndex } from '../../src/dataset/stacks/read_index.js'
import { findSeries } from '../../src/dicom/index.js'
import { NoduleError } from '../../src/errors.js'
import { evaluateFiles, readMarks } from '../../src/evaluation/index.js'
import { readFindingsCsv, readSeriesList } from '../../src/formats/luna.js'
import { readHuImage, readImage, readImageSize } from '../../src/formats/images.js'
import { encodeSafeTensors, readSafeTensors } from '../../src/formats/safetensors.js'
import { modelMetadata } from '../../src/onnx/metadata.js'
import { patchMetadata } from '../../src/onnx/patch_metadata.js'
import { decodeModel, encodeModel } from '../../src/onnx/proto.js'
import { openCubes } from '../../src/patches/store.js'
import { writeReport } from '../../src/report/index.js'
import { PACKAGE_ROOT } from '../../src/version.js'
import { loadVolume } from '../../src/volume/index.js'
import { convertWeights, describeWeights } from '../../src/weights/index.js'
import { annotations, model, stacks, xml } from './small_files.js'
import { writeSmallCubes } from '../patches/small_cubes.js'
import { makeRun } from '../report/made_run.js'

export interface Target {
  name: string
  /** Whole files; each is mutated in turn. */
  samples: readonly { name: string; bytes: Uint8Array }[]
  isText: boolean
  /** Reads the file, which holds the mutant. */
  read: (path: string) => unknown
  /** Voxels have an allowance of their own. */
  isVolume?: true
}

/** Their names: those of our own JSON, and the others. */
export const JSON_TARGETS = ['lists', 'hypes', 'detections', 'evaluations', 'logs', 'JSON to XML', 'cubes']
export const OTHER_TARGETS = [
  ...['LIDC XML', 'tables', 'NIfTI', 'MetaImage', 'safetensors', 'weights', 'images', 'models'],
]

const WEIGHTS = ['v1.ckpt', 'v2.ckpt.index', 'state.pth', 'state_legacy.pth', 'model.onnx']

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value, undefined, 1))

/** Makes the files that are needed in `folder`. */
export async function targets(folder: string): Promise<Target[]> {
  const run = join(folder, 'run')
  mkdirSync(run)
  await makeRun(run)
  const of = (...path: string[]): Uint8Array => readFileSync(join(run, ...path))
  const box = { x1: 10, y1: 12, x2: 20, y2: 25 }
  const source = {
    ...{ patientId: 'P', seriesInstanceUid: '1.2', sopInstanceUid: '1.2.3', k: 4, positionMm: 10 },
    mapping: { originX: 0, originY: 0, scale: 1, frameWidth: 64, frameHeight: 48 },
    ...{ encoding: 'gray8', channels: 3, nodules: ['1'], measures: [{ readers: 3, axialDiameterMm: 7 }] },
    excluded: [box],
  }
  const list = json([
    {
      image_path: 'a.png',
      rects: [
        {
          ...box,
          score: 0.5,
          hull: [
            [10.5, 12.5],
            [19.5, 24.5],
          ],
        },
      ],
      nodule: source,
    },
    { image_path: 'b.png', rects: [] },
  ])
  writeFileSync(join(folder, 'truth.json'), list)
  const reportOf = async (change: object): Promise<unknown> =>
    writeReport({ ...change, output: join(folder, 'report.html'), bootstraps: 0, maxPictures: 2 })
  const evaluation = join(folder, 'evaluation.json')
  const { json: evaluated } = await evaluateFiles({
    truth: join(run, 'data/test.json'),
    predictions: [join(run, 'predictions.json')],
    bootstraps: 5,
  })
  writeFileSync(evaluation, json(evaluated))
  await writeSmallCubes(join(folder, 'cubes'), 2, 1)
  return [
    {
      name: 'lists',
      isText: true,
      samples: [{ name: 'list.json', bytes: list }],
      read: async (path) => {
        readList(path)
        await evaluateFiles({ truth: join(folder, 'truth.json'), predictions: [path], bootstraps: 0 })
        await evaluateFiles({ truth: path, predictions: [path], bootstraps: 0 })
      },
    },
    {
      name: 'hypes',
      isText: true,
      samples: [
        {
          name: 'hypes.json',
          bytes: json({ image_width: 64, grid_width: 2, solver: { rnd_seed: 1, max_iter: 3 } }),
        },
        { name: 'patch.json', bytes: json({ solver: { rnd_seed: 1, max_iter: 3 } }) },
      ],
      read: (path) => {
        if (path.endsWith('hypes.json')) readHypes(path)
        else readPatchHypes(path)
      },
    },
    {
      name: 'detections',
      isText: true,
      samples: [
        { name: '1.2.3.json', bytes: json(JSON.parse(Buffer.from(of('detections/1.2.3.json')).toString())) },
      ],
      read: async (path) => {
        await readMarks(join(path, '..'), [])
        await reportOf({ detections: join(path, '..'), reference: join(run, 'reference.csv') })
      },
    },
    {
      name: 'evaluations',
      isText: true,
      samples: [{ name: 'evaluation.json', bytes: json(evaluated) }],
      read: async (path) => reportOf({ evaluation: path }),
    },
    {
      name: 'logs',
      isText: true,
      samples: [
        { name: 'log.jsonl', bytes: of('log.jsonl') },
        {
          name: 'run.jsonl',
          bytes: Buffer.from('{"nodule": "0", "seed": 1, "step": 0, "train": "a.json", "test": "b.json"}\n'),
        },
        { name: 'hypes.json', bytes: of('hypes.json') },
      ],
      read: async (path) => {
        const here = join(path, '..')
        if (!path.endsWith('log.jsonl')) writeFileSync(join(here, 'log.jsonl'), of('log.jsonl'))
        await reportOf({ run: here })
      },
    },
    {
      name: 'JSON to XML',
      isText: true,
      samples: [
        { name: 'd.json', bytes: json(JSON.parse(Buffer.from(of('detections/1.2.3.json')).toString())) },
        { name: 'a.json', bytes: json(annotations(box)) },
      ],
      read: async (path) => jsonToXml(path, join(folder, 'xml')),
    },
    {
      name: 'cubes',
      isText: true,
      samples: [{ name: 'cubes.jsonl', bytes: readFileSync(join(folder, 'cubes/cubes.jsonl')) }],
      read: async (path) => {
        writeFileSync(join(path, '..', 'cubes.bin'), readFileSync(join(folder, 'cubes/cubes.bin')))
        const store = await openCubes(join(path, '..'))
        store.close()
      },
    },
    {
      name: 'LIDC XML',
      isText: true,
      samples: [{ name: 'a.xml', bytes: Buffer.from(xml()) }],
      read: async (path) => readLidcXml(path),
    },
    {
      name: 'tables',
      isText: true,
      samples: [
        {
          name: 'marks.csv',
          bytes: Buffer.from(
            'seriesuid,coordX,coordY,coordZ,probability\n1.2,1,-2.5,3,0.5\n"1,3",1,2,3,0.25\n',
          ),
        },
        {
          name: 'findings.csv',
          bytes: Buffer.from('seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2,1,-2.5,3,5.5\n'),
        },
        { name: 'series.csv', bytes: Buffer.from('seriesuid\n1.2\n1.3\n') },
        {
          name: 'labels.csv',
          bytes: Buffer.from('label,probability_a,probability_b\n1,0.5,0.25\n0,0.125,1\n1,0.75,0\n'),
        },
        { name: 'split.csv', bytes: Buffer.from('P1,train\nP2,test\n1.2.3,val\n') },
        { name: 'index.csv', bytes: Buffer.from(stacks()) },
      ],
      read: async (path) => {
        if (path.endsWith('marks.csv')) await readMarks(path, [])
        else if (path.endsWith('findings.csv')) readFindingsCsv(path, false)
        else if (path.endsWith('series.csv')) readSeriesList(path)
        else if (path.endsWith('labels.csv')) await evaluateFiles({ labels: path })
        else if (path.endsWith('split.csv')) splitRule('', undefined, path)
        else readStackIndex(join(path, '..'))
      },
    },
    {
      name: 'NIfTI',
      isText: false,
      isVolume: true,
      samples: [
        { name: 'a.nii', bytes: nifti() },
        { name: 'b.nii.gz', bytes: gzipSync(nifti()) },
      ],
      read: readVolumes,
    },
    {
      name: 'MetaImage',
      isText: true,
      isVolume: true,
      samples: [
        {
          name: 'a.mha',
          bytes: Buffer.from(`${META}CompressedData = False\nElementDataFile = LOCAL\n${'a'.repeat(60)}`),
        },
        {
          name: 'b.mha',
          bytes: Buffer.from(`${META}BinaryData = False\nElementDataFile = LOCAL\n${'1 '.repeat(30)}`),
        },
        { name: 'c.mhd', bytes: Buffer.from(`${META}CompressedData = True\nElementDataFile = c.zraw\n`) },
      ],
      read: async (path) => {
        writeFileSync(join(path, '..', 'c.zraw'), deflateSync(new Uint8Array(60)))
        await readVolumes(path)
      },
    },
    {
      name: 'safetensors',
      isText: false,
      samples: [
        {
          name: 'a.safetensors',
          bytes: encodeSafeTensors({
            metadata: { format: 'nodule-checkpoint/1', step: '3' },
            tensors: new Map([['model/a', { shape: [2, 3], data: new Float32Array(6) }]]),
          }),
        },
      ],
      read: async (path) => readSafeTensors(path),
    },
    {
      name: 'weights',
      isText: false,
      samples: WEIGHTS.map((name) => ({
        name,
        bytes: readFileSync(join(PACKAGE_ROOT, 'test/fixtures/weights', name)),
      })),
      read: async (path) => {
        const data = 'v2.ckpt.data-00000-of-00001'
        writeFileSync(join(path, '..', data), readFileSync(join(PACKAGE_ROOT, 'test/fixtures/weights', data)))
        await describeWeights(path)
        await convertWeights(path, join(folder, 'weights.safetensors'))
      },
    },
    { name: 'images', isText: false, samples: await images(), read: readImages },
    {
      name: 'models',
      isText: false,
      samples: [
        { name: 'a.onnx', bytes: encodeModel(model({ format: 'nodule-model/1', checkpoint_sha256: 'a' })) },
        {
          name: 'b.onnx',
          bytes: encodeModel(
            model({
              format: 'nodule-patches/1',
              checkpoint_sha256: 'a',
              calibration: '{"first":1,"second":2,"size":1,"offset":0,"nodules":3,"others":4,"model":"a"}',
            }),
          ),
        },
      ],
      read: (path) => {
        const decoded = decodeModel(readFileSync(path), path)
        if (path.endsWith('a.onnx')) modelMetadata(decoded, path)
        else patchMetadata(decoded, path)
      },
    },
  ]
}

async function readVolumes(path: string): Promise<void> {
  const { series, skipped } = await findSeries([path])
  if (series.length === 0) throw new NoduleError('FORMAT', skipped[0]!.reason)
  for (const one of series) await loadVolume(one)
}

async function readImages(path: string): Promise<void> {
  await readImageSize(path)
  await readImage(path)
  // Most are no HU.
  await readHuImage(path, { low: -1000, high: 400 }).catch((error: unknown) => {
    if (!(error instanceof NoduleError)) throw error
  })
}

async function images(): Promise<Target['samples']> {
  const gray = sharp(Buffer.from(Array.from({ length: 24 * 16 }, (_, n) => n % 256)), {
    raw: { width: 24, height: 16, channels: 1 },
  })
  const of = async (name: string, bytes: Promise<Buffer>): Promise<Target['samples'][number]> => ({
    name,
    bytes: await bytes,
  })
  const bmp = Buffer.alloc(54 + 72 * 4)
  bmp.write('BM')
  for (const [at, value] of [
    [10, 54],
    [14, 40],
    [18, 24],
    [22, 4],
    [26, 1 + 65536 * 24],
  ] as const)
    bmp.writeUInt32LE(value, at)
  return [
    await of('a.png', gray.clone().png().toBuffer()),
    await of('b.png', gray.clone().toColourspace('grey16').png().toBuffer()),
    await of('c.jpg', gray.clone().jpeg().toBuffer()),
    await of('d.webp', gray.clone().webp().toBuffer()),
    { name: 'e.bmp', bytes: bmp },
  ]
}

const META = `ObjectType = Image
NDims = 3
DimSize = 5 3 2
ElementSpacing = 0.7 0.7 2.5
Offset = 1 2 3
TransformMatrix = 1 0 0 0 1 0 0 0 1
ElementType = MET_SHORT
ElementByteOrderMSB = False
`

function nifti(): Buffer {
  const bytes = Buffer.alloc(352 + 5 * 3 * 2 * 2)
  bytes.writeInt32LE(348)
  for (const [n, value] of [3, 5, 3, 2].entries()) bytes.writeInt16LE(value, 40 + 2 * n)
  bytes.writeInt16LE(4, 70)
  bytes.writeInt16LE(16, 72)
  for (const at of [80, 84, 88, 280, 300, 320]) bytes.writeFloatLE(1, at)
  bytes.writeFloatLE(352, 108)
  bytes.writeInt16LE(1, 254)
  bytes.write('n+1\0', 344, 'latin1')
  return bytes
}
