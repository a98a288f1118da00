// Which sources the addon is made of: compiled into it, and left beside dist/, so that JavaScript never calls an addon
// that was built from others.
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './steps.mjs'

/** A name of 16 hexadecimal digits for the package's version, CMakeLists.txt and native/. */
export function nativeCode() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const files = readdirSync(join(root, 'native'), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.md'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort((a, b) => (a < b ? -1 : 1))
  const hash = createHash('sha256').update(version)
  for (const file of [join(root, 'CMakeLists.txt'), ...files])
    hash.update(`${file.slice(root.length)}\n`).update(readFileSync(file))
  return hash.digest('hex').slice(0, 16)
}
