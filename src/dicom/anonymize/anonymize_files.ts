import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { NoduleError, describeError } from '../../errors.js'
import { writeFileAtomic } from '../../files.js'
import { anonymize } from './anonymize.js'
import type { AnonymizeOptions } from './anonymize.js'
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
  /** DICOM files, and others with a DICOM name, that were not written, with the reason. */
  problems: { path: string; error: NoduleError }[]
  /** What a person should look at in files that were written, by the path of the original. */
  warnings: { path: string; message: string }[]
}

/**
 * De-identifies every DICOM file below the inputs into `PATIENT/STUDY/SERIES/INSTANCE.dcm` below the output: the old
 * names of files and folders may tell who it is and are not used. Aborted, it gives what was written so far.
 *
 * @throws NoduleError FILE where an input does not exist or the output cannot be written
 */
export async function anonymizeFiles(
  inputs: readonly string[],
  output: string,
  o: AnonymizeFilesOptions = {},
): Promise<AnonymizedTree> {
  const files = await listFiles(inputs)
  const options = { ...o, key: o.key ?? randomBytes(32).toString('hex') }
  const result: AnonymizedTree = { written: 0, foreign: [], problems: [], warnings: [] }
  const targets = new Set<string>()
  for (const [n, path] of files.entries()) {
    if (isStopped(o.signal)) break
    try {
      await refuseAppleDouble(path)
      const made = await anonymize(await readDicom(path), options)
      const parts = [
        made.patientId,
        made.studyInstanceUid,
        made.seriesInstanceUid,
        `${made.sopInstanceUid}.dcm`,
      ]
      const target = join(output, ...parts.map(safeName))
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
      else if (skipKind(path, error) === 'foreign') result.foreign.push(path)
      else result.problems.push({ path, error })
    }
    o.onProgress?.(n + 1, files.length)
  }
  return result
}

/** A name that cannot leave its folder. */
function safeName(name: string): string {
  const safe = name.replaceAll(/[^\w.-]/g, '_').replace(/^\.+/, '_')
  return safe === '' ? 'none' : safe
}
