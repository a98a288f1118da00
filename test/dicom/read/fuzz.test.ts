import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { decodePixels, dumpLines, parseDicom, sliceHeaders } from '../../../src/dicom/index.js'
import { createRandom } from '../../../src/random.js'
import { examine } from '../../fuzz/examine.js'
import { realData } from '../../real_data.js'
import { BIG_ENDIAN, DEFLATED, IMPLICIT, dataSet, dicomFile, sliceElements, sliceFile } from '../bytes.js'
import { mutate } from '../mutate.js'

/** Does everything that the package does with a file. */
async function exercise(bytes: Uint8Array, name: string): Promise<void> {
  const file = parseDicom(bytes, name)
  dumpLines(file, { meta: true })
  const headers = sliceHeaders(file, bytes.length)
  await decodePixels(file, headers[0]!)
}

async function fuzz(
  files: readonly { name: string; bytes: Uint8Array }[],
  count: number,
  seed: number,
): Promise<void> {
  const random = createRandom(seed)
  for (let n = 0; n < count; n++) {
    const { name, bytes } = files[n % files.length]!
    const mutant = mutate(bytes, random)
    const { fault } = await examine(() => exercise(mutant, name), mutant.length)
    expect(fault, `mutant ${n} of ${name} (seed ${seed})`).toBeUndefined()
  }
}

// A long run: NODULE_FUZZ=100000 npx vitest run test/dicom/read/fuzz.test.ts; NODULE_SEED=N makes others.
const COUNT = Number(process.env['NODULE_FUZZ'] ?? 2000)
const SEED = Number(process.env['NODULE_SEED'] ?? 1)
const TIMEOUT = 60_000 + COUNT * 20

describe('mutants end in a result or a NoduleError, in bounded time and memory', () => {
  it(
    'of small hand-made files',
    async () => {
      const deflated = dicomFile([], { transferSyntax: DEFLATED }, deflateRawSync(dataSet(sliceElements())))
      const files = [{}, { transferSyntax: IMPLICIT }, { transferSyntax: BIG_ENDIAN }, { meta: false }].map(
        (options, n) => ({ name: `slice ${n}`, bytes: sliceFile({}, options) }),
      )
      await fuzz([...files, { name: 'deflated', bytes: deflated }], COUNT, 2 * SEED)
    },
    TIMEOUT,
  )

  const samples = realData('dicom-samples')
  it.skipIf(samples === undefined)(
    'of the sample files',
    async () => {
      const files = readdirSync(samples!, { recursive: true, encoding: 'utf8' })
        .map((path) => join(samples!, path))
        .filter((path) => statSync(path).isFile() && statSync(path).size < 700_000)
        .sort()
        .map((path) => ({ name: path.slice(samples!.length), bytes: readFileSync(path) }))
      await fuzz(files, COUNT, 2 * SEED + 1)
    },
    TIMEOUT,
  )
})
