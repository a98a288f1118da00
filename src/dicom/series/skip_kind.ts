import { basename } from 'node:path'
import { NoduleError } from '../../errors.js'
import { readStart } from '../../read_files.js'

/**
 * 'foreign': not DICOM at all (a README, an XML file); 'not-a-slice': intact DICOM that is no image in the patient (a
 * report, a directory, a screen shot) or that is not supported; 'damaged': everything that hints at a lost slice, such as
 * a file with a DICOM name that is none.
 */
export type SkipKind = 'foreign' | 'not-a-slice' | 'damaged'

/** What a file that cannot be used was, by what was said of it and by its name. */
export function skipKind(path: string, { code, fault }: NoduleError): SkipKind {
  if (fault === 'apple-double') return 'foreign'
  if (fault === 'packed') return /\.(dcm|dicom|ima)(\.\w+)?$/i.test(path) ? 'damaged' : 'foreign'
  if (fault === 'not-dicom') return /\.(dcm|dicom|ima)$/i.test(path) ? 'damaged' : 'foreign'
  return code === 'UNSUPPORTED' || fault === 'no-image' || fault === 'no-place' ? 'not-a-slice' : 'damaged'
}

/** Throws NoduleError FORMAT for files `._NAME` that macOS leaves on disks and in archives that are not its own. */
export async function refuseAppleDouble(path: string): Promise<void> {
  if (!basename(path).startsWith('._')) return
  const start = await readStart(path, 4)
  if (start.length === 4 && [0x00051607, 0x00051600].includes(start.readUInt32BE()))
    throw new NoduleError('FORMAT', "macOS's notes on another file", { fault: 'apple-double', path })
}
