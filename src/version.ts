import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function findPackageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    try {
      const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: string }
      if (manifest.name === 'nodule') return folder
    } catch {
      // not here: look one folder up
    }
    const parent = dirname(folder)
    if (parent === folder) throw new Error('the package.json of nodule is missing above ' + import.meta.url)
    folder = parent
  }
}

/** The package's root folder: the one that holds package.json, hypes/ and the addon's build folder. */
export const PACKAGE_ROOT = findPackageRoot()

/** The code version that every checkpoint, model and report records. */
export const VERSION = (
  JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string }
).version
