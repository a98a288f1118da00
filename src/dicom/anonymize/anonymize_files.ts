import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { checkObject, checkText, checkTexts } from '../../check.js'
import { NoduleError, describeError } from '../../errors.js'
import { writeFileAtomic } from '../../files.js'
import { anonymize, checkAnonymizeOptions } from './anonymize.js'
import type { AnonymizeOptions, AnonymizedFile } from './anonymize.js'
import { readDicom } from '../read/parse.js'
import { listFiles } from '../series/series.js'
import { refuseAppleDouble, skipKind } from '../series/skip_kind.js'
import { isStopped } from '../../work.js'
import type { WorkOptions } from '../../work.js'

export interface AnonymizeFilesOptions extends Omit<AnonymizeOptions, 'key'>, WorkOptions {
  /** Default: a random one, so that nobody can make the same replacements again. */
  key?: string | undefined
}

export interface AnonymizedTree {
  written: number
  /** Files that are not DICOM, by their names either: not copied, since nobody knows what they tell. */
  foreign: string[]
  /** Those of them in which anything may be: archives and compressed files. */
  packed: { path: string; reason: string }[]
  /** DICOM files, and others with a DICOM name, that were not written, with the reason. */
  problems: { path: string; error: NoduleError }[]
  /** What a person should look at in files that were written, by the path of the original. */
  warnings: { path: string; message: string }[]
}

/**
 * De-identifies every DICOM file below the inputs into `PATIENT/STUDY/SERIES/INSTANCE.dcm` below the output: the old
 * names of files and folders may tell who it is and are not used. Aborted, it gives what was written so far.
 *
 * @throws NoduleError FILE where an input does not exist or the output cannot be written, INVALID_PARAMETER
 */
export async function anonymizeFiles(
  inputs: readonly string[],
  output: string,
  o: AnonymizeFilesOptions = {},
): Promise<AnonymizedTree> {
  checkTexts('inputs', inputs)
  checkText('output', output)
  checkObject('options', o)
  const options = { ...o, key: o.key ?? randomBytes(32).toString('hex') }
  checkAnonymizeOptions(options)
  const files = await listFiles(inputs)
  if (o.key === undefined && (o.keepUids !== true || o.patientId === undefined)) await warnOfOthers(output, o)
  const result: AnonymizedTree = { written: 0, foreign: [], packed: [], problems: [], warnings: [] }
  const targets = new Set<string>()
  for (const [n, path] of files.entries()) {
    if (isStopped(o.signal)) break
    try {
      await refuseAppleDouble(path)
      const made = await anonymize(await readDicom(path), options)
      const target = join(output, ...placeOf(made, path))
      if (targets.has(target)) {
        throw new NoduleError('FORMAT', 'a file with this SOP Instance UID was written already', { path })
      }
      targets.add(target)
      await writeFileAtomic(target, made.bytes)
      result.written++
      for (const message of made.warnings) {
        result.warnings.push({ path, message })
        o.onWarning?.(`${path}: ${message}`)
      }
    } catch (error) {
      if (!(error instanceof NoduleError)) {
        result.problems.push({
          path,
          error: new NoduleError('FORMAT', describeError(error), { path, cause: error }),
        })
      } else if (error.path !== path) throw error
      else if (skipKind(path, error) === 'foreign') {
        result.foreign.push(path)
        if (error.fault === 'packed') result.packed.push({ path, reason: error.reason })
      } else result.problems.push({ path, error })
    }
    o.onProgress?.(n + 1, files.length)
  }
  return result
}

/** After an interruption, say, the copies of a second call would look like other patients. */
async function warnOfOthers(output: string, { onWarning }: WorkOptions): Promise<void> {
  const there = await readdir(output).catch(() => [])
  if (there.length > 0)
    onWarning?.(
      `${output}: holds files already: without the key that they were made with (here it is random) the same patients and images get other names, and are there twice`,
    )
}

/** Room for the ending of a temporary name in the 255 characters that file systems have. */
const MAX_NAME = 200

/** Folders and name of a copy. Throws NoduleError FORMAT where a UID, which may be kept, is too long for one. */
function placeOf(made: AnonymizedFile, path: string): string[] {
  const uids: [string, string][] = [
    ['(0020,000D)', made.studyInstanceUid],
    ['(0020,000E)', made.seriesInstanceUid],
    ['(0008,0018)', made.sopInstanceUid],
  ]
  for (const [place, { length }] of uids) {
    if (length <= MAX_NAME) continue
    throw new NoduleError('FORMAT', 'a UID is too long for a file name', {
      ...{ path, place, expected: `at most ${MAX_NAME} characters`, actual: String(length) },
    })
  }
  const [study, series, instance] = uids.map(([, uid]) => uid)
  return [made.patientId, study!, series!, `${instance!}.dcm`].map(safeName)
}

/** A name that cannot leave its folder. */
function safeName(name: string): string {
  const safe = name.replaceAll(/[^\w.-]/g, '_').replace(/^\.+/, '_')
  return safe === '' ? 'none' : safe
}
