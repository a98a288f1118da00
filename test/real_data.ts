import { existsSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The folder of an unpacked archive of real data below NODULE_DATA, or undefined where it is absent: tests that
 * need it then skip visibly (`describe.skipIf`).
 */
export function realData(name: string): string | undefined {
  const root = process.env['NODULE_DATA']
  if (root === undefined || root === '') return undefined
  const folder = join(root, name)
  return existsSync(folder) ? folder : undefined
}
